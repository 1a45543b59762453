//! The page of an application that finds its way by the path itself.

use http::{Request, Uri};

use super::store::NoBody;
use crate::page::wants_html;

/// Tells whether a request for something that is not there may be one for a page that the
/// application makes in the browser.
///
/// What has a file extension is a picture or a script that is missing: whoever asks for it is not
/// helped by a page.
pub(super) fn may_be_a_page(asked: &Request<NoBody>) -> bool {
    let last = asked.uri().path().rsplit('/').next().unwrap_or_default();
    wants_html(asked.headers()) && !last.contains('.')
}

/// The same request for this file of the folder.
pub(super) fn instead(asked: &Request<NoBody>, file: &Uri) -> Request<NoBody> {
    let mut request = asked.clone();
    *request.uri_mut() = file.clone();
    request
}

#[cfg(test)]
mod tests {
    use http::header::ACCEPT;

    use super::*;

    #[test]
    fn pages_have_no_extension_and_are_asked_for_as_html() {
        let check = |path: &str, accept: &str, expected: bool| {
            let asked = Request::get(path).header(ACCEPT, accept).body(NoBody::new()).unwrap();
            assert_eq!(may_be_a_page(&asked), expected, "{path} {accept}");
        };
        check("/", "text/html", true);
        check("/user/7", "text/html,*/*;q=0.8", true);
        check("/v1.2/user", "text/html", true);
        check("/user/", "text/html", true);
        check("/user?name=a.b", "text/html", true);
        check("/logo.png", "text/html", false);
        check("/.env", "text/html", false);
        check("/user/7", "*/*", false);
        check("/user/7", "application/json", false);
    }
}
