//! The time axis of the pictures, in UTC.

use lifeboat_model::Timestamp;

use super::page::Page;

/// Width of a picture and of the names at its left, in its own units.
pub(crate) const WIDTH: f64 = 1120.0;
pub(crate) const LEFT: f64 = 118.0;
pub(crate) const RIGHT: f64 = 96.0;

/// From times to places.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    from: u64,
    length: u64,
}

/// Distances of marks in seconds; the smallest that gives at most [`MARKS`] is taken.
const STEPS: [u64; 21] = [
    1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800,
    604_800, 2_592_000,
];
const MARKS: u64 = 11;

impl Axis {
    /// An axis from one time to another; never of no length.
    pub(crate) fn new(from: Timestamp, to: Timestamp) -> Self {
        Self { from: from.0, length: to.since(from).0.max(1000) }
    }

    /// Where a time lies; times outside lie at the ends.
    #[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
    pub(crate) fn x(self, at: Timestamp) -> f64 {
        let gone = at.0.saturating_sub(self.from).min(self.length);
        LEFT + (WIDTH - LEFT - RIGHT) * (gone as f64 / self.length as f64)
    }

    fn step(self) -> u64 {
        let fits = STEPS.into_iter().find(|step| self.length / (step * 1000) <= MARKS);
        fits.unwrap_or_else(|| self.length / 1000 / MARKS + 1) * 1000
    }

    /// Lines and times; `top` to `bottom` is where the lines go, the times stand below.
    pub(crate) fn draw(self, page: &mut Page, top: f64, bottom: f64) {
        let step = self.step();
        let mut at = self.from.div_ceil(step) * step;
        let mut day = None;
        while at <= self.from.saturating_add(self.length) {
            let x = self.x(Timestamp(at));
            page.raw("<path class=\"grid\" d=\"M").at(x).raw(" ").at(top).raw("V").at(bottom).raw("\"/>");
            page.raw("<text class=\"tick\" x=\"").at(x).raw("\" y=\"").at(bottom + 14.0).raw("\">");
            page.text(&label(at, step)).raw("</text>");
            let date = format(at, "%Y-%m-%d");
            if day.as_ref() != Some(&date) {
                page.raw("<text class=\"tick\" x=\"").at(x).raw("\" y=\"").at(bottom + 27.0).raw("\">");
                page.text(&date).raw("</text>");
                day = Some(date);
            }
            at = at.saturating_add(step);
        }
        page.raw("<text class=\"tick end\" x=\"").at(LEFT - 34.0).raw("\" y=\"").at(bottom + 27.0);
        page.raw("\">UTC</text>");
    }
}

fn label(at: u64, step: u64) -> String {
    format(
        at,
        if step < 60_000 {
            "%H:%M:%S"
        } else if step < 86_400_000 {
            "%H:%M"
        } else {
            "%m-%d"
        },
    )
}

/// A time in UTC; the bare number if no calendar has it.
pub(crate) fn format(millis: u64, form: &str) -> String {
    let time = i64::try_from(millis).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(|| millis.to_string(), |time| time.strftime(form).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_of_any_length_has_few_marks_and_ends() {
        for length in [0, 1, 5_000, 60_000, 3_600_000, 86_400_000 * 400, u64::MAX / 4] {
            let axis = Axis::new(Timestamp(1_767_227_247_663), Timestamp(1_767_227_247_663 + length));
            let mut page = Page::default();
            axis.draw(&mut page, 0.0, 10.0);
            let marks = page.finish().matches("class=\"grid\"").count();
            assert!(marks <= 13, "{length}: {marks}");
        }
    }

    #[test]
    fn times_outside_lie_at_the_ends() {
        let axis = Axis::new(Timestamp(1000), Timestamp(5000));
        assert!((axis.x(Timestamp(0)) - LEFT).abs() < 0.1);
        assert!((axis.x(Timestamp(9000)) - (WIDTH - RIGHT)).abs() < 0.1);
    }
}
