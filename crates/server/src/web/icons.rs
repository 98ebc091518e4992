//! Line icons, 16 by 16, drawn in the colour of the text around them.

macro_rules! icons {
    ($($name:ident = $drawing:literal;)+) => {
        $(pub(super) const $name: &str = concat!(
            r#"<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">"#, $drawing, "</svg>"
        );)+
    };
}

icons! {
    OVERVIEW = r#"<path d="M2.5 2.5h4.5v5h-4.5zM9 2.5h4.5v3H9zM9 7.5h4.5v6H9zM2.5 9.5H7v4H2.5z"/>"#;
    TENANTS = r#"<path d="M2.5 13.5v-11h6v11M8.5 6.5h5v7M1.5 13.5h13M5 5.5h1M5 8h1M5 10.5h1M11 9h.5M11 11.2h.5"/>"#;
    PRODUCTS = r#"<path d="M8 1.8 13.6 5v6L8 14.2 2.4 11V5zM2.6 5.1 8 8.2l5.4-3.1M8 8.2v5.8"/>"#;
    CODE = r#"<path d="m5.5 4.5-3.5 3.5 3.5 3.5M10.5 4.5 14 8l-3.5 3.5"/>"#;
    THEME = r#"<circle cx="8" cy="8" r="5.5"/><path d="M8 2.5v11a5.5 5.5 0 0 0 0-11z" fill="currentColor"/>"#;
    SIGN_OUT = r#"<path d="M6 13.5H3.5v-11H6M10 5l3 3-3 3M13 8H6.5"/>"#;
    COPY = r#"<rect x="5.5" y="5.5" width="8" height="8" rx="1.5"/><path d="M10.5 5.5V4A1.5 1.5 0 0 0 9 2.5H4A1.5 1.5 0 0 0 2.5 4v5A1.5 1.5 0 0 0 4 10.5h1.5"/>"#;
    SEARCH = r#"<circle cx="7" cy="7" r="4.5"/><path d="m10.4 10.4 3.1 3.1"/>"#;
    YES = r#"<path d="m3.5 8.5 3 3 6-7"/>"#;
    NO = r#"<path d="M4.5 8h7"/>"#;
    WARNING = r#"<path d="M8 2 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.1"/>"#;
    INFO = r#"<circle cx="8" cy="8" r="6"/><path d="M8 7.4v3.6M8 5v.1"/>"#;
    FILE = r#"<path d="M3.5 1.8h6l3 3v9.4h-9zM9.3 2v3h3M5.7 8.2h4.6M5.7 10.8h4.6"/>"#;
    CHART = r#"<path d="M2.5 2.5v11h11M5.5 11V8M8.5 11V4.5M11.5 11V6.5"/>"#;
    INVOICE = r#"<path d="M3.5 14.2V1.8h9v12.4l-1.8-1.2-1.4 1.2L8 13l-1.3 1.2L5.3 13zM5.8 5h4.4M5.8 7.6h4.4M8.4 10.2h1.8"/>"#;
    LICENSE = r#"<path d="M8 1.6 13 3.5v4c0 3.3-2 5.6-5 6.9-3-1.3-5-3.6-5-6.9v-4zM5.7 7.9l1.7 1.7 3-3.4"/>"#;
    INSTANCES = r#"<rect x="2.5" y="2.5" width="11" height="4.5" rx="1"/><rect x="2.5" y="9" width="11" height="4.5" rx="1"/><path d="M5 4.75h.1M5 11.25h.1"/>"#;
    KEY = r#"<circle cx="5.2" cy="10.8" r="2.7"/><path d="m7.2 8.8 6-6M11 5l2 2"/>"#;
}

/// The logo, drawn in the colours of the theme.
pub(super) const LOGO: &str = r#"<svg viewBox="0 0 24 24" aria-hidden="true"><rect class="logo-tile" width="24" height="24" rx="6"/><path class="logo-ink" d="M5 6h14v2.6H5zM5 10h2.6v2.6H5zM8.8 10h2.6v8.4H8.8zM12.6 10h2.6v8.4h-2.6zM16.4 10H19v2.6h-2.6z"/></svg>"#;
