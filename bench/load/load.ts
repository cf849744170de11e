import autocannon from 'autocannon';

export interface LoadRequest {
  headers?: Record<string, string>;
  body?: string;
  /** Called with the response's headers. */
  onHeaders?: (headers: Record<string, string | string[]>) => void;
}

/** A number of requests of one kind, over keep-alive connections that send the next one as soon as a response has come. */
export interface Load {
  method: 'GET' | 'POST' | 'PUT';
  path: string;
  /** Divided among the connections. Each repeats its own share. */
  requests: LoadRequest[];
  connections: number;
  amount: number;
  /** The beginning of every response's body. */
  expect: string;
}

/** The result of a load in which every response was the expected one. */
export interface LoadResult {
  /** From the first request to the last response. */
  seconds: number;
  /** Of each request, in milliseconds. */
  latencies: number[];
}

/** What a browser sends. The library stores the user agent of a login, so its length counts. */
export const BROWSER_HEADERS = {
  accept: 'application/json',
  'accept-language': 'en-GB,en;q=0.9',
  'user-agent':
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36',
};

/** Milliseconds between autocannon's checks whether it is done. Its histograms are not used: they count in whole milliseconds. */
const LOOK_EVERY = 20;

/**
 * Runs a load to its end.
 *
 * @throws Error when a response was missing, not 2xx, or not the expected one
 */
export async function run(url: string, load: Load): Promise<LoadResult> {
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
    throw new Error(`${method} ${url}${path}: not every response was the expected one: ${seen}`);
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
