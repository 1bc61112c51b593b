// A minimal keep-alive HTTP/1.1 client connection: one request in flight, body returned as a string.
// It exists because the generator shares two cores with the server: fetch/undici costs 3-5x more CPU a request.
import net from 'node:net';
import tls from 'node:tls';

const CRLF2 = Buffer.from('\r\n\r\n');
const MAX_HEAD = 64 * 1024;

export class HttpConn {
  constructor(url) {
    this.url = url;
    this.sock = undefined;
    this.buf = undefined; // bytes received and not yet used
    this.pending = undefined; // { resolve, reject }
    this.reconnects = -1;
  }

  connect() {
    this.buf = undefined;
    this.head = undefined;
    this.reconnects++;
    const { hostname, port, protocol } = this.url;
    const secure = protocol === 'https:';
    const p = Number(port) || (secure ? 443 : 80);
    const host = hostname.replace(/^\[|\]$/g, '');
    return new Promise((resolve, reject) => {
      const sock = secure
        ? tls.connect(
            {
              host,
              port: p,
              servername: net.isIP(host) ? undefined : host,
              rejectUnauthorized: false,
              ALPNProtocols: ['http/1.1'],
            },
            () => resolve(),
          )
        : net.connect({ host, port: p }, () => resolve());
      sock.setNoDelay(true);
      this.sock = sock;
      sock.on('data', (d) => this.#onData(d));
      sock.on('error', (e) => {
        reject(e);
        this.#fail(e);
      });
      sock.on('close', () => {
        if (this.sock === sock) {
          this.sock = undefined;
          this.#fail(new Error('connection closed'));
        }
      });
    });
  }

  /** Send raw request bytes; resolves { status, headers, body }. */
  async request(bytes) {
    if (!this.sock) await this.connect();
    if (this.pending) throw new Error('request already in flight');
    return new Promise((resolve, reject) => {
      this.pending = { resolve, reject };
      this.sock.write(bytes);
    });
  }

  close() {
    const s = this.sock;
    this.sock = undefined;
    s?.destroy();
  }

  #fail(e) {
    const p = this.pending;
    this.pending = undefined;
    p?.reject(e);
  }

  #onData(d) {
    if (!this.pending) {
      this.close();
      return;
    } // unsolicited bytes: the connection is out of step
    this.buf = this.buf ? Buffer.concat([this.buf, d]) : d;
    try {
      const r = this.#parse();
      if (!r) return;
      if (r.close) this.close();
      const p = this.pending;
      this.pending = undefined;
      p.resolve(r);
    } catch (e) {
      this.close();
      this.#fail(e);
    }
  }

  #parse() {
    if (!this.head) {
      const end = this.buf.indexOf(CRLF2);
      if (end < 0) {
        if (this.buf.length > MAX_HEAD) throw new Error('response head too large');
        return undefined;
      }
      const lines = this.buf.latin1Slice(0, end).split('\r\n');
      const m = /^HTTP\/1\.[01] (\d{3})/.exec(lines[0]);
      if (!m) throw new Error(`bad status line: ${lines[0].slice(0, 80)}`);
      const headers = Object.create(null);
      for (let i = 1; i < lines.length; i++) {
        const c = lines[i].indexOf(':');
        headers[lines[i].slice(0, c).toLowerCase()] = lines[i].slice(c + 1).trim();
      }
      const status = Number(m[1]);
      const chunked = headers['transfer-encoding']?.toLowerCase() === 'chunked';
      const len = headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
      const empty = status === 204 || status === 304 || status < 200;
      if (!chunked && len === undefined && !empty)
        throw new Error('response has neither content-length nor chunked encoding');
      this.head = { status, headers, chunked, len: empty ? 0 : len, parts: [], pos: end + 4 };
    }
    const h = this.head;
    const b = this.buf;
    let body;
    let used;
    if (!h.chunked) {
      if (b.length - h.pos < h.len) return undefined;
      used = h.pos + h.len;
      body = b.utf8Slice(h.pos, used);
    } else {
      for (;;) {
        const eol = b.indexOf('\r\n', h.pos, 'latin1');
        if (eol < 0) return undefined;
        const size = Number.parseInt(b.latin1Slice(h.pos, eol), 16);
        if (!(size >= 0)) throw new Error('bad chunk size');
        const start = eol + 2;
        if (b.length < start + size + 2) return undefined;
        if (size === 0) {
          used = start + 2;
          break;
        } // no trailers expected
        h.parts.push(b.subarray(start, start + size));
        h.pos = start + size + 2;
      }
      body = h.parts.length === 1 ? h.parts[0].toString('utf8') : Buffer.concat(h.parts).toString('utf8');
    }
    if (b.length > used) throw new Error('bytes after the response');
    this.buf = undefined;
    this.head = undefined;
    return { status: h.status, headers: h.headers, body, close: h.headers.connection?.toLowerCase() === 'close' };
  }
}
