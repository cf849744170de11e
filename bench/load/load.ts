import autocannon from 'autocannon';

export interface LoadRequest {
  headers?: Record<string, string>;
  body?: string;
  /** Called with the answer's headers. */
  onHeaders?: (headers: Record<string, string | string[]>) => void;
}

/** So many requests of one kind, over keep-alive connections that each ask again as soon as they are answered. */
export interface Load {
  method: 'GET' | 'POST' | 'PUT';
  path: string;
  /** Dealt out to the connections, each of which goes round its own share. */
  requests: LoadRequest[];
  connections: number;
  amount: number;
  /** How the body of every answer begins. */
  expect: string;
}

/** What came of it: every request answered, and every answer as expected. */
export interface Answers {
  /** From the first request to the last answer. */
  seconds: number;
  /** Milliseconds of each answer. */
  latencies: number[];
}

/** What a browser sends: the library remembers the user agent of a login, and pays for it. */
export const BROWSER_HEADERS = {
  accept: 'application/json',
  'accept-language': 'en-GB,en;q=0.9',
  'user-agent':
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36',
};

/** Milliseconds between autocannon's looks at whether it is done. Its own histograms are not used: they count whole ones. */
const LOOK_EVERY = 20;

/**
 * Runs a load to its end.
 *
 * @throws Error when one answer was missing, not 2xx, or not what was expected
 */
export async function run(url: string, load: Load): Promise<Answers> {
  const { method, path, requests, connections, amount, expect } = load;
  const latencies: number[] = [];
  let clients = 0;
  const begun = performance.now();
  let ended = begun;
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const options: autocannon.Options = {
      url,
      connections,
      amount,
      sampleInt: LOOK_EVERY,
      setupClient: (client) => {
        const number = clients++;
        const share = requests.filter((_, index) => index % connections === number % requests.length);
        client.setRequests(share.map((request) => prepared(method, path, request)));
      },
      verifyBody: (body) => (typeof body === 'string' ? body : '').startsWith(expect),
    };
    const instance = autocannon(options, (error: Error | null, done) => {
      if (error) reject(error);
      else resolve(done);
    });
    instance.on('response', (_client, _status, _bytes, time) => {
      latencies.push(time);
      ended = performance.now();
    });
  });
  const { errors, timeouts, mismatches, resets, non2xx } = result;
  if (errors + timeouts + mismatches + resets + non2xx > 0 || result['2xx'] !== amount) {
    const seen = JSON.stringify({ amount, ok: result['2xx'], non2xx, errors, timeouts, mismatches, resets });
    throw new Error(`${method} ${url}${path}: not every answer was the right one: ${seen}`);
  }
  return { seconds: (ended - begun) / 1000, latencies };
}

function prepared(method: Load['method'], path: string, { headers, body, onHeaders }: LoadRequest): autocannon.Request {
  return {
    method,
    path,
    headers: { ...BROWSER_HEADERS, ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body }),
    ...(onHeaders && {
      onResponse: (_status, _body, _context, received) => onHeaders(received as Record<string, string | string[]>),
    }),
  };
}
