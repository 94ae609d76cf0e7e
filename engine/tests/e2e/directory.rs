//! A directory on the web, asked in the midst of a call: it knows the caller, knows nobody, fails, or says nothing.
use crate::call_centre::{folder, rests};
use crate::customer::{CUSTOMER, calling};
use crate::server::{Server, Settings, own_address};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

/// A directory that answers by the number it is asked for.
fn directory(ip: Ipv4Addr) -> SocketAddr {
    let listener = TcpListener::bind((ip, 0)).expect("bind");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(&stream));
        }
    });
    address
}

fn answer(stream: &TcpStream) -> Option<()> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let asked = lines.next()?;
    lines.by_ref().find(String::is_empty)?;
    let (status, body) = match asked.split([' ', '=']).nth(2)? {
        "301" => ("200 OK", r#"[{"name": "Ana", "levels": ["gold"]}, {}]"#),
        "302" => ("404 Not Found", ""),
        "303" => ("500 Internal Server Error", "{}"),
        "304" => ("200 OK", "<html>"),
        // Until who asks has enough of it.
        _ => return lines.next().map(|_| ()),
    };
    let length = body.len();
    write!(
        &*stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .ok()
}

#[test]
fn a_directory_on_the_web_says_who_calls_or_the_call_goes_on_without() {
    const KNOWN: &str = "Good day Ana. Your level is gold.";
    const NOBODY: &str = "We have not met before.";
    const AWAY: &str = "Our address book is away.";
    let (_kept, path) = folder();
    let ip = own_address();
    let at = directory(ip);
    let flow = format!(
        r#"
flow_version: 1
entry: who
prompts:
  known: {{text: "Good day ${{name}}. Your level is ${{level}}."}}
  nobody: {{text: "{NOBODY}"}}
  away: {{text: "{AWAY}"}}
nodes:
  who:
    type: directory
    url: "http://{at}/people?number=${{call.to}}"
    timeout_ms: 500
    set: {{name: name, level: "levels[0]"}}
    then: {{type: hangup, prompt: known}}
    not_found: {{type: hangup, prompt: nobody}}
    error_destination: {{type: hangup, prompt: away}}
"#
    );
    let file = path.join("who.yaml");
    std::fs::write(&file, flow).expect("write the flow");
    let cases = [
        ("301", KNOWN),
        ("302", NOBODY),
        ("303", AWAY),
        ("304", AWAY),
        ("305", AWAY),
    ];
    let number = |(to, _): (&str, &str)| (to.to_owned(), file.display().to_string());
    let server = Server::with(Settings {
        callers: format!("[fetch]\nallow = [\"{ip}/32\"]\n{CUSTOMER}"),
        numbers: cases.map(number).into(),
        ..Settings::default()
    });
    for (number, said) in cases {
        let mut call = calling(&server, "customer", number, &[]);
        call.hears(said, "en-US", 0);
        call.wait_hang_up();
    }
    rests(&server);
}
