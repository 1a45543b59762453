//! What happened over time, as a picture: panels one above the other, over the same time.

type Drawn<T = ()> = Result<T, String>;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{
    BLACK, Cartesian2d, ChartBuilder, ChartContext, Color, DrawingArea, IntoDrawingArea,
    LineSeries, PathElement, RGBColor, SVGBackend, SeriesLabelPosition, WHITE,
};
use plotters::style::IntoTextStyle;

/// Okabe and Ito's colours, which people who see few colours can tell apart.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(90, 90, 90),
];

const WIDTH: u32 = 1000;
/// A panel is at least so high, and has room for the names of all its curves.
const PANEL_HEIGHT: u32 = 180;
const NAME_HEIGHT: u32 = 18;
const FRAME_HEIGHT: u32 = 60;
const TITLE_HEIGHT: u32 = 40;

/// One quantity over time, of one or several simulations.
#[derive(Clone, Debug, Default)]
pub(super) struct Panel {
    /// What it is and in which unit.
    pub(super) title: String,
    pub(super) curves: Vec<Curve>,
}

/// One line: pairs of seconds and values.
#[derive(Clone, Debug, Default)]
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws panels one above the other as SVG; a title stands above them all.
pub(super) fn draw(title: &str, panels: &[Panel]) -> Drawn<String> {
    let mut svg = String::new();
    let number = |length: usize| u32::try_from(length).map_err(drawing);
    let curves = panels.iter().map(|panel| panel.curves.len()).max().unwrap_or(0);
    let panel = PANEL_HEIGHT.max(FRAME_HEIGHT + NAME_HEIGHT * number(curves)?);
    let height = TITLE_HEIGHT + panel * number(panels.len())?;
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE).map_err(drawing)?;
        let root = root.titled(title, ("sans-serif", 20)).map_err(drawing)?;
        for (panel, area) in panels.iter().zip(root.split_evenly((panels.len(), 1))) {
            one(panel, &area).map_err(drawing)?;
        }
        root.present().map_err(drawing)?;
    }
    Ok(svg)
}

fn drawing(problem: impl std::fmt::Display) -> String {
    format!("the picture cannot be drawn: {problem}")
}

fn one(panel: &Panel, area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Drawn {
    let points = || panel.curves.iter().flat_map(|curve| &curve.points);
    let end = points().map(|(time, _)| *time).fold(1e-9, f64::max);
    let top = points().map(|(_, value)| *value).fold(1e-9, f64::max) * 1.08;
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 14).into_text_style(area))
        .margin(6)
        .set_left_and_bottom_label_area_size(40)
        .build_cartesian_2d(0.0..end, 0.0..top)
        .map_err(drawing)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.08))
        .y_labels(5)
        .x_label_formatter(&|seconds| clock(*seconds, end))
        .draw()
        .map_err(drawing)?;
    for (i, curve) in panel.curves.iter().enumerate() {
        // With the colours again, the lines are thicker.
        let width = 1 + u32::try_from(i / COLOURS.len()).map_err(drawing)?;
        line(&mut chart, curve, COLOURS[i % COLOURS.len()], width)?;
    }
    legend(&mut chart, panel.curves.len())
}

fn line(chart: &mut Chart<'_, '_>, curve: &Curve, colour: RGBColor, width: u32) -> Drawn {
    chart
        .draw_series(LineSeries::new(curve.points.iter().copied(), colour.stroke_width(width)))
        .map_err(drawing)?
        .label(&curve.name)
        .legend(move |(x, y)| {
            PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(width + 1))
        });
    Ok(())
}

/// A single curve needs no name beside the title.
fn legend<'a, 'b: 'a>(chart: &mut Chart<'a, 'b>, curves: usize) -> Drawn {
    if curves < 2 {
        return Ok(());
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.7))
        .draw()
        .map_err(drawing)
}

/// Writes a moment in the unit in which the whole is best read.
fn clock(seconds: f64, whole: f64) -> String {
    match whole {
        whole if whole < 180.0 => format!("{seconds:.0} s"),
        whole if whole < 3.0 * 3600.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_its_titles_and_names_and_escapes_them() {
        let curve = |name: &str| Curve { name: name.into(), points: vec![(0.0, 1.0), (9.0, 4.0)] };
        let panels = [
            Panel { title: "handlers".into(), curves: vec![curve("demand"), curve("a<b")] },
            Panel { title: "queue".into(), curves: vec![curve("unnamed")] },
            Panel::default(),
        ];
        let svg = draw("a & b", &panels).unwrap();
        for text in ["handlers", "demand", "a&lt;b", "queue", "a &amp; b"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(!svg.contains("unnamed") && svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn moments_are_written_in_a_unit_that_fits() {
        let check = |seconds, whole, expected: &str| assert_eq!(clock(seconds, whole), expected);
        check(12.0, 60.0, "12 s");
        check(600.0, 3600.0, "10 min");
        check(5400.0, 86_400.0, "1.5 h");
    }
}
