//! Echoes lines from a pool of four processes. Try: `nc 127.0.0.1 7777`.

use std::io::{BufRead, BufReader, Write};

use bellwether::{Connection, Server};

fn main() -> Result<(), bellwether::Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7777".into());
    let server = Server::builder().listen(address).handlers(4).open()?;
    server.run(|connection: Connection| {
        let mut connection = BufReader::new(connection);
        let mut line = String::new();
        while matches!(connection.read_line(&mut line), Ok(1..)) {
            let _ = connection.get_mut().write_all(line.as_bytes());
            line.clear();
        }
    })?;
    Ok(())
}
