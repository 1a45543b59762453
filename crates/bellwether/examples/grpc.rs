//! gRPC by tonic from a pool of processes.
//!
//! What `tonic-build` makes of a `.proto` file is a tower service, too:
//! `http::serve(address, |_| async { Ok(GreeterServer::new(Greeter)) })`. This one is written by
//! hand, so that nothing but Rust is needed to build it:
//!
//! ```proto
//! package hello;
//! service Greeter {
//!   rpc Greet (Name) returns (Greeting);
//!   rpc Count (Name) returns (stream Greeting);
//! }
//! message Name { string name = 1; }
//! message Greeting { string text = 1; uint64 number = 2; }
//! ```

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::time::Duration;

use bellwether::http::{self, Incoming};
use futures_util::{Stream, StreamExt, stream};
use tonic::body::Body;
use tonic::server::{Grpc, ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

#[derive(Clone, PartialEq, prost::Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Greeting {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(uint64, tag = "2")]
    number: u64,
}

fn main() -> Result<(), bellwether::Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7780".into());
    http::serve(address, |_shift| async { Ok(service_fn(answer)) })?;
    Ok(())
}

async fn answer(request: ::http::Request<Incoming>) -> Result<::http::Response<Body>, Infallible> {
    let mut grpc = Grpc::new(ProstCodec::default());
    Ok(match request.uri().path() {
        "/hello.Greeter/Greet" => grpc.unary(Greet, request).await,
        "/hello.Greeter/Count" => grpc.server_streaming(Count, request).await,
        other => Status::unimplemented(other).into_http(),
    })
}

fn greeting(name: &str, number: u64) -> Greeting {
    Greeting { text: format!("hello {name}"), number }
}

struct Greet;

impl UnaryService<Name> for Greet {
    type Response = Greeting;
    type Future = Ready<Result<Response<Greeting>, Status>>;

    fn call(&mut self, request: Request<Name>) -> Self::Future {
        ready(Ok(Response::new(greeting(&request.get_ref().name, 0))))
    }
}

/// Greets fifty times, in some two seconds: a reload lets it finish.
struct Count;

impl ServerStreamingService<Name> for Count {
    type Response = Greeting;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Greeting, Status>> + Send>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Name>) -> Self::Future {
        let name = request.into_inner().name;
        let greetings = stream::iter(1..=50).then(move |number| {
            let greeting = greeting(&name, number);
            async move {
                tokio::time::sleep(Duration::from_millis(40)).await;
                Ok(greeting)
            }
        });
        ready(Ok(Response::new(greetings.boxed())))
    }
}
