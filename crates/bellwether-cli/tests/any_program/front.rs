//! A web server in front of programs that do not speak HTTP.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::kit::{PATIENCE, eventually};
use crate::trial::free_port;

/// nginx, which asks the pool by FastCGI.
pub(crate) struct Front {
    nginx: Child,
    pub(crate) address: SocketAddr,
}

impl Front {
    /// Starts it in a folder, with the pool at this port.
    pub(crate) fn of(pool: u16, folder: &Path) -> Self {
        let port = free_port();
        let [port_text, pool] = [port, pool].map(|it| it.to_string());
        let script = folder.join("index.php").display().to_string();
        let text = CONFIGURATION.replace("@script@", &script).replace("@pool@", &pool);
        let configuration = folder.join("front.conf");
        fs::write(&configuration, text.replace("@port@", &port_text)).unwrap();
        let mut nginx = Command::new("nginx");
        nginx.arg("-p").arg(folder).arg("-c").arg(configuration).args(["-g", "daemon off;"]);
        let nginx = nginx.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        eventually(PATIENCE, "nginx to listen", || TcpStream::connect(address).ok());
        Self { nginx, address }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.nginx), Signal::TERM);
        let _ = self.nginx.wait();
    }
}

const CONFIGURATION: &str = "
pid front.pid; error_log stderr; worker_processes 1;
events { worker_connections 256; }
http {
    access_log off; chunked_transfer_encoding off;
    client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    server {
        listen 127.0.0.1:@port@;
        location / {
            fastcgi_pass 127.0.0.1:@pool@;
            fastcgi_param SCRIPT_FILENAME @script@;
            fastcgi_param REDIRECT_STATUS 200;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param QUERY_STRING $query_string;
        }
    }
}
";
