//! Unified differences of texts: Myers' algorithm, with a bound.

/// Most lines that may differ.
const LIMIT: usize = 1000;
/// Lines of context.
const CONTEXT: usize = 3;

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Keep,
    Remove,
    Add,
}

/// The unified difference without its two heading lines; none if there are too many differences to be of use.
pub(super) fn unified(old: &[&str], new: &[&str]) -> Option<String> {
    let same = |a: &&&str, b: &&&str| a == b;
    let head = old.iter().zip(new).take_while(|(a, b)| same(a, b)).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| same(a, b)).count();
    let middle = |lines: &[&str]| lines.len() - tail;
    let steps = script(old.get(head..middle(old))?, new.get(head..middle(new))?)?;
    let all: Vec<Step> = std::iter::repeat_n(Step::Keep, head)
        .chain(steps)
        .chain(std::iter::repeat_n(Step::Keep, tail))
        .collect();
    Some(hunks(&all, old, new))
}

/// The shortest way from one text to the other.
fn script(old: &[&str], new: &[&str]) -> Option<Vec<Step>> {
    let (n, m) = (old.len(), new.len());
    let limit = LIMIT.min(n + m);
    let at = |k: isize| usize::try_from(k + LIMIT.cast_signed() + 1).unwrap_or(0);
    let mut best = vec![0_usize; 2 * LIMIT + 3];
    let mut trace: Vec<Vec<usize>> = Vec::new();
    for d in 0..=limit.cast_signed() {
        trace.push(best.clone());
        for k in (-d..=d).step_by(2) {
            let get = |k: isize| best.get(at(k)).copied().unwrap_or(0);
            let down = k == -d || (k != d && get(k - 1) < get(k + 1));
            let mut x = if down { get(k + 1) } else { get(k - 1) + 1 };
            let Some(mut y) = x.checked_add_signed(-k) else { continue };
            while x < n && y < m && old.get(x) == new.get(y) {
                x += 1;
                y += 1;
            }
            if let Some(slot) = best.get_mut(at(k)) {
                *slot = x;
            }
            if x >= n && y >= m {
                return Some(back(&trace, n, m, at));
            }
        }
    }
    None
}

/// Walks the way back from its end.
#[expect(clippy::many_single_char_names, reason = "the names of Myers' paper")]
fn back(trace: &[Vec<usize>], n: usize, m: usize, at: impl Fn(isize) -> usize) -> Vec<Step> {
    let (mut x, mut y) = (n.cast_signed(), m.cast_signed());
    let mut steps = Vec::new();
    for (d, best) in trace.iter().enumerate().rev() {
        let k = x - y;
        let get = |k: isize| best.get(at(k)).copied().unwrap_or(0).cast_signed();
        let down = k == -d.cast_signed() || (k != d.cast_signed() && get(k - 1) < get(k + 1));
        let from = if down { k + 1 } else { k - 1 };
        let (from_x, from_y) = (get(from), get(from) - from);
        while x > from_x && y > from_y {
            steps.push(Step::Keep);
            x -= 1;
            y -= 1;
        }
        if d > 0 {
            steps.push(if down { Step::Add } else { Step::Remove });
            (x, y) = (from_x, from_y);
        }
    }
    steps.reverse();
    steps
}

fn hunks(steps: &[Step], old: &[&str], new: &[&str]) -> String {
    let mut text = String::new();
    let changed: Vec<usize> =
        steps.iter().enumerate().filter(|(_, step)| **step != Step::Keep).map(|(i, _)| i).collect();
    let mut rest = changed.as_slice();
    while let Some(first) = rest.first() {
        let near = rest.windows(2).take_while(|pair| matches!(pair, [a, b] if b - a <= 2 * CONTEXT)).count();
        let last = rest.get(near).unwrap_or(first);
        let (from, to) = (first.saturating_sub(CONTEXT), (last + CONTEXT + 1).min(steps.len()));
        rest = rest.get(near + 1..).unwrap_or_default();
        let before = |kind: Step| {
            steps.iter().take(from).filter(|step| **step == Step::Keep || **step == kind).count()
        };
        let (mut a, mut b) = (before(Step::Remove), before(Step::Add));
        let within = steps.get(from..to).unwrap_or_default();
        let count = |kind: Step| within.iter().filter(|step| **step == Step::Keep || **step == kind).count();
        let (len_a, len_b) = (count(Step::Remove), count(Step::Add));
        let start = |at: usize, len: usize| if len == 0 { at } else { at + 1 };
        text.push_str(&format!("@@ -{},{len_a} +{},{len_b} @@\n", start(a, len_a), start(b, len_b)));
        for step in within {
            let (sign, line) = match step {
                Step::Keep | Step::Remove => (if *step == Step::Keep { ' ' } else { '-' }, old.get(a)),
                Step::Add => ('+', new.get(b)),
            };
            a += usize::from(*step != Step::Add);
            b += usize::from(*step != Step::Remove);
            text.push(sign);
            text.push_str(line.copied().unwrap_or_default());
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_difference_applied_gives_the_new_text() {
        const WORDS: [&str; 5] = ["a", "b", "c", "d", "e"];
        // A small generator of texts, the same in every run.
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((seed >> 33) % below).unwrap()
        };
        for _ in 0..500 {
            let mut text = |len| -> Vec<&str> { (0..len).map(|_| WORDS[random(5)]).collect() };
            let (old, new) = (text(12), text(9));
            let steps = script(&old, &new).unwrap();
            let (mut at, mut made, mut added) = (0, Vec::new(), new.iter());
            for step in steps {
                match step {
                    Step::Keep => {
                        made.push(old[at]);
                        assert_eq!(added.next(), Some(&old[at]));
                        at += 1;
                    }
                    Step::Remove => at += 1,
                    Step::Add => made.push(added.next().copied().unwrap()),
                }
            }
            assert_eq!((at, made), (old.len(), new));
        }
    }

    #[test]
    fn it_reads_as_diff_writes_it() {
        let old = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let new = ["1", "2", "3", "4", "x", "6", "7", "8", "9", "10"];
        assert_eq!(
            unified(&old, &new).unwrap(),
            "@@ -2,8 +2,9 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n 9\n+10\n"
        );
        assert_eq!(unified(&[], &["a"]).unwrap(), "@@ -0,0 +1,1 @@\n+a\n");
        let (a, b) = (vec!["a"; 2000], vec!["b"; 2000]);
        assert!(unified(&a, &b).is_none());
    }
}
