// ws, of npm, as a peer: what tools/common/echo_server.py does. Serves until it is terminated.
"use strict";

const { WebSocketServer } = require("ws");

const SUBPROTOCOLS = ["chat", "superchat"];
const MAX_MESSAGE = 1 << 24;

let lastClose = "";

function sendInFragments(ws, data, binary, size) {
  for (let start = 0; start < data.length || start === 0; start += size) {
    ws.send(data.subarray(start, start + size), { binary, fin: start + size >= data.length });
  }
}

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  maxPayload: MAX_MESSAGE,
  perMessageDeflate: false,
  handleProtocols: (offered) => [...offered].find((name) => SUBPROTOCOLS.includes(name)) ?? false,
});

server.on("connection", (ws, request) => {
  const url = new URL(request.url, "ws://localhost");
  ws.on("message", (data, binary) => {
    if (url.pathname === "/close") {
      ws.close(Number(url.searchParams.get("code")), url.searchParams.get("reason"));
    } else if (url.pathname === "/fragments") {
      sendInFragments(ws, data, binary, Number(url.searchParams.get("size")));
    } else {
      ws.send(data, { binary });
    }
  });
  ws.on("pong", () => ws.send("pong"));
  ws.on("close", (code, reason) => {
    lastClose = `${code} ${reason}`;
  });
  ws.on("error", () => {});
  if (url.pathname === "/ping") {
    ws.ping("are you there?");
  } else if (url.pathname === "/told") {
    ws.send(lastClose);
  }
});

server.on("listening", () => console.log(`serving ${server.address().port}`));
