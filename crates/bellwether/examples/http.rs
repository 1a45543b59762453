//! Answers HTTP from a pool of processes. Try: `curl http://127.0.0.1:7778/`.

use std::convert::Infallible;

use bellwether::{Server, Shift, http};
use tower::service_fn;

fn main() -> Result<(), bellwether::Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7778".into());
    http::serve(Server::builder().listen(address).handlers(4), |shift: Shift| async move {
        let slot = shift.seat().slot();
        Ok(service_fn(move |_request| async move {
            Ok::<_, Infallible>(::http::Response::new(format!("hello from slot {slot}\n")))
        }))
    })?;
    Ok(())
}
