//! gRPC, with tonic on both sides.

use std::net::SocketAddr;

use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::kit::{Run, assert_conserved};
use crate::stage::{reload, start};

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

struct Client(Grpc<Channel>);

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self(Grpc::new(endpoint.connect().await.unwrap()))
    }

    async fn ask(&mut self, method: &'static str) -> Result<Greeting, Status> {
        self.0.ready().await.unwrap();
        let request = Request::new(Name { name: "tonic".into() });
        let codec = ProstCodec::<Name, Greeting>::default();
        let answer = self.0.unary(request, method.parse().unwrap(), codec).await?;
        Ok(answer.into_inner())
    }

    async fn count(&mut self) -> Streaming<Greeting> {
        self.0.ready().await.unwrap();
        let request = Request::new(Name { name: "tonic".into() });
        let (method, codec) = ("/hello.Greeter/Count".parse().unwrap(), ProstCodec::default());
        self.0.server_streaming(request, method, codec).await.unwrap().into_inner()
    }
}

/// Waits for what a client is told, without a thread more than the test has.
fn wait<F: Future>(telling: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(telling)
}

async fn calls(run: &Run) {
    let mut client = Client::connect(run.socket_addr()).await;
    for _ in 0..10 {
        let greeting = client.ask("/hello.Greeter/Greet").await.unwrap();
        assert_eq!(greeting, Greeting { text: "hello tonic".into(), number: 0 });
    }
    let error = client.ask("/hello.Greeter/Insult").await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Unimplemented, "/hello.Greeter/Insult"));
}

#[test]
fn calls_are_answered_and_unknown_ones_refused_by_name() {
    let mut run = start("grpc");
    wait(calls(&run));
    assert_conserved(&run.status());
    assert!(run.stop().success());
}

async fn count_over_a_reload(run: &Run) {
    let mut client = Client::connect(run.socket_addr()).await;
    let mut counting = client.count().await;
    assert_eq!(counting.message().await.unwrap().unwrap().number, 1);
    reload(run);
    for number in 2..=50 {
        assert_eq!(counting.message().await.unwrap().unwrap().number, number);
    }
    assert!(counting.message().await.unwrap().is_none(), "and a status that says all is well");
    let mut next = Client::connect(run.socket_addr()).await;
    assert!(next.ask("/hello.Greeter/Greet").await.is_ok());
}

#[test]
fn a_stream_that_has_begun_is_sent_to_its_end_though_its_handler_leaves() {
    let mut run = start("grpc");
    wait(count_over_a_reload(&run));
    assert_conserved(&run.status());
    assert!(run.stop().success());
}
