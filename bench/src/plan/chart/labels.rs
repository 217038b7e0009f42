//! Names beside marks.
//!
//! Owns: where they go. Promises: no name covers a mark or another name as long as there is room. Does not: measure
//! fonts; a letter is taken to be so wide.

/// Width of a letter at the size of the chart.
const LETTER: f64 = 6.5;
const HEIGHT: f64 = 13.0;
/// From a mark to its name.
const AWAY: f64 = 10.0;

/// Where a name stands, and the end of the line that leads to it if that is not right beside its mark.
pub(crate) struct Label {
    /// Where it begins, or ends if it stands on the left of its mark.
    pub(crate) at: (f64, f64),
    pub(crate) right: bool,
    pub(crate) lead: Option<(f64, f64)>,
}

/// A box: left, top, right, bottom.
pub(crate) type Area = (f64, f64, f64, f64);

/// Places for names of so many letters beside points, within a panel of this size, off the `kept` areas.
pub(crate) fn place(points: &[(f64, f64, usize)], panel: (f64, f64), kept: &[Area]) -> Vec<Label> {
    let marks = points.iter().map(|&(x, y, _)| (x - 6.0, y - 6.0, x + 6.0, y + 6.0));
    let mut taken: Vec<Area> = marks.chain(kept.iter().copied()).collect();
    // The nearest place first: lines up and down, on the right and on the left, near and far.
    let steps = (0..9).flat_map(|step| [f64::from(step), -f64::from(step)]);
    let mut tries: Vec<(f64, bool, f64)> = steps
        .flat_map(|step| [0.0, 22.0, 60.0].map(|far| (step * HEIGHT, far)))
        .flat_map(|(dy, far)| [true, false].map(|right| (dy, right, far)))
        .collect();
    tries.sort_by(|a, b| (a.0.abs() + 1.6 * a.2).total_cmp(&(b.0.abs() + 1.6 * b.2)));
    points
        .iter()
        .map(|&(x, y, letters)| {
            let wide = LETTER * f64::from(u32::try_from(letters).unwrap_or(0));
            let area = |&(dy, right, far): &(f64, bool, f64)| -> Area {
                let left = if right { x + AWAY + far } else { x - AWAY - far - wide };
                (left, y + dy - HEIGHT / 2.0, left + wide, y + dy + HEIGHT / 2.0)
            };
            let inside = |a: &Area| a.0 >= 3.0 && a.1 >= 2.0 && a.2 <= panel.0 - 3.0 && a.3 <= panel.1 - 2.0;
            let free = |a: &Area, taken: &[Area]| {
                taken.iter().all(|b| a.2 <= b.0 || b.2 <= a.0 || a.3 <= b.1 || b.3 <= a.1)
            };
            let found = tries.iter().find(|try_it| {
                let area = area(try_it);
                inside(&area) && free(&area, &taken)
            });
            // Rather over the line of a bound than out of the panel.
            let found = found.or_else(|| tries.iter().find(|try_it| inside(&area(try_it))));
            let chosen = found.copied().unwrap_or((0.0, true, 0.0));
            let area = area(&chosen);
            taken.push(area);
            let middle = f64::midpoint(area.1, area.3);
            let beside = chosen.0.abs() < 1.0 && chosen.2 < 1.0;
            let end = if chosen.1 { area.0 - 2.0 } else { area.2 + 2.0 };
            let begin = if chosen.1 { area.0 } else { area.2 };
            Label { at: (begin, middle), right: chosen.1, lead: (!beside).then_some((end, middle)) }
        })
        .collect()
}
