import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { createClient } from '@libsql/client';
import type { Browser } from '../support/browser.js';
import {
  ADA,
  ADA_IN_PUBLIC,
  browserOn,
  closeAll,
  JSON_ONLY,
  quickstart,
  temporaryDatabase,
} from './quickstart-sample.js';
import type { SampleProcess } from './sample-process.js';

describe('The quickstart sample', () => {
  let sample: SampleProcess;
  let browser: Browser;

  beforeAll(async () => {
    sample = await quickstart();
  });
  afterAll(closeAll);

  beforeEach(() => {
    browser = browserOn(sample);
  });

  it('prints its address, the demo logins and where the sessions are', () => {
    expect(sample.output).toMatch(/http:\/\/localhost:\d{2,}\n/);
    expect(sample.output).toContain('ada (password lovelace) or grace (password hopper)');
    expect(sample.output).toContain('Sessions are kept in this process');
    expect(sample.output).toContain('sessions end with a restart');
  });

  it('sends a visitor who is not logged in to the login page', async () => {
    const response = await browser.get('/', { headers: { accept: 'text/html' }, follow: true });

    expect(response).toMatchObject({ status: 200, url: { pathname: '/login' } });
    expect(response.text).toMatch(/<form[^>]+method="post" action="\/login"/);
    expect(browser.cookies.size).toBe(0);
  });

  it('responds to a program that is not logged in by a JSON 401', async () => {
    for (const response of [await browser.get('/', { headers: JSON_ONLY }), await browser.get('/me')]) {
      expect(response.status).toBe(401);
      expect(response.json()).toMatchObject({ statusCode: 401, code: 'unauthenticated' });
    }
  });

  it('greets the user by name, with the picture in the corner', async () => {
    const login = await browser.post('/login', { form: ADA });
    expect(login).toMatchObject({ status: 303, headers: { location: '/' } });

    const { text } = await browser.get('/');
    expect(text).toContain('<h1>Hello, Ada Lovelace</h1>');
    const header = /<header>.*<\/header>/s.exec(text)?.[0];
    expect(header).toContain('Ada Lovelace');
    const picture = await browser.get(/<img src="([^"]+)"/.exec(header ?? '')?.[1] ?? '');
    expect(picture).toMatchObject({ status: 200, headers: { 'content-type': 'image/svg+xml' } });
  });

  it('logs in by JSON, and tells who is logged in without the hash of the password', async () => {
    const login = await browser.post('/login', { json: { username: 'grace', password: 'hopper' } });
    expect(login.status).toBe(200);
    expect(login.json()).toEqual({ id: 2, username: 'grace', name: 'Grace Hopper', picture: '/pictures/grace.svg' });

    expect((await browser.get('/me')).json()).toEqual(login.json());
  });

  it('hides the session cookie from scripts and from the forms of other sites', async () => {
    const { setCookies } = await browser.post('/login', { form: ADA });
    expect(setCookies).toEqual([expect.stringMatching(/^sid=.*; HttpOnly; SameSite=Lax$/)]);
  });

  it('shows the login page again after a wrong password, with the username still in it', async () => {
    const response = await browser.post('/login', { form: { username: 'ada "<b>"', password: 'wrong' } });

    expect(response.status).toBe(401);
    expect(response.text).toContain('Wrong username or password');
    expect(response.text).toContain('value="ada &#34;&#60;b&#62;&#34;"');
    expect(browser.cookies.size).toBe(0);
  });

  it('responds to an unknown user and to a wrong password alike', async () => {
    const wrong = { username: 'ada', password: 'wrong' };
    const unknown = { username: 'nobody', password: 'wrong' };

    const [wrongPage, unknownPage] = [
      await browser.post('/login', { form: wrong }),
      await browser.post('/login', { form: unknown }),
    ];
    expect(unknownPage.status).toBe(wrongPage.status);
    expect(unknownPage.text).toBe(wrongPage.text.replace('value="ada"', 'value="nobody"'));

    const [wrongJson, unknownJson] = [
      await browser.post('/login', { json: wrong }),
      await browser.post('/login', { json: unknown }),
    ];
    expect(wrongJson.json()).toEqual({
      statusCode: 401,
      code: 'login_failed',
      message: 'Wrong username or password',
    });
    expect(unknownJson).toMatchObject({ status: 401, text: wrongJson.text });
  });

  it.each([
    ['that is no JSON', '{"username": "ada"', /JSON/],
    ['that is empty', undefined, /Enter a username and a password/],
    ['without a password', '{"username": "ada"}', /Enter a username and a password/],
    ['without a username', '{"password": "lovelace"}', /Enter a username and a password/],
    ['whose password is an object', '{"username": "ada", "password": {"$ne": ""}}', /Enter a username and a password/],
    ['that is a list', '["ada", "lovelace"]', /Enter a username and a password/],
  ])('refuses a login body %s', async (_which, body, message) => {
    const response = await browser.post('/login', {
      body,
      headers: { ...JSON_ONLY, 'content-type': 'application/json' },
    });

    expect(response.status).toBe(400);
    expect(response.json()).toMatchObject({ statusCode: 400, message: expect.stringMatching(message) as string });
  });

  it('takes a number for a wrong password', async () => {
    expect((await browser.post('/login', { json: { username: 'ada', password: 1 } })).status).toBe(401);
  });

  it('says on the login page what its form lacks', async () => {
    for (const form of ['username=ada', 'password=lovelace', 'username[toString]=ada&password=lovelace', '']) {
      const response = await browser.post('/login', { form: Object.fromEntries(new URLSearchParams(form)) });
      expect(response.status).toBe(400);
      expect(response.text).toContain('role="alert">Enter a username and a password<');
    }
  });

  it('logs out by POST, and not by a link', async () => {
    await browser.post('/login', { form: ADA });
    const beforeLogout = browser.fork();
    expect((await browser.get('/logout')).status).toBe(404);
    expect((await browser.get('/me')).status).toBe(200);

    expect(await browser.post('/logout')).toMatchObject({ status: 303, headers: { location: '/login' } });
    for (const tried of [browser, beforeLogout]) expect((await tried.get('/me')).status).toBe(401);
    beforeLogout.close();
  });

  it('goes back to where the visitor wanted to go, once', async () => {
    await browser.get('/?tab=2&sort=name');
    await browser.post('/login', { form: { ...ADA, password: 'wrong' } });
    const login = await browser.post('/login', { form: ADA });
    expect(login).toMatchObject({ status: 303, headers: { location: '/?tab=2&sort=name' } });

    expect(await browser.post('/login', { form: ADA })).toMatchObject({ headers: { location: '/' } });
  });

  it('stores nothing for a visitor who asks for a very long address, who is led to the start after the login', async () => {
    for (const [length, stored] of [
      [512, true],
      [513, false],
      [15_000, false],
    ] as const) {
      const visitor = browserOn(sample);
      const path = '/?'.padEnd(length, 'x');
      expect(await visitor.get(path)).toMatchObject({ status: 303, headers: { location: '/login' } });
      expect(visitor.cookies.size).toBe(stored ? 1 : 0);
      expect((await visitor.post('/login', { form: ADA })).headers.location).toBe(stored ? path : '/');
    }
  });

  it('tells browsers, on pages, files and errors, to run no foreign script and to guess no type', async () => {
    for (const path of ['/', '/login', '/me', '/style.css', '/pictures/ada.svg', '/nowhere', '/%']) {
      const { headers } = await browser.get(path);
      expect(headers).toMatchObject({
        'content-security-policy': "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
      });
      expect(headers['x-powered-by']).toBeUndefined();
    }
    expect((await browser.get('/login')).headers['cache-control']).toBe('no-store');
  });

  it('never goes to another site after the login', async () => {
    await browser.get(`${sample.url}//?evil.example`);
    await browser.get('/login?returnTo=https://evil.example/');
    const login = await browser.post('/login?returnTo=//evil.example', {
      form: { ...ADA, returnTo: 'https://evil.example/' },
    });
    expect(login).toMatchObject({ status: 303, headers: { location: '/' } });
  });

  it('does not remember a whole URL from the request line', async () => {
    const outgoing = request(sample.url, { path: 'http://evil.example/', agent: false }).end();
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    response.resume();
    expect(response).toMatchObject({ statusCode: 303, headers: { location: '/login' } });
    expect(response.headers['set-cookie']).toBeUndefined();
  });

  it('refuses what the page of another site posts', async () => {
    await browser.post('/login', { form: ADA });
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
    ]) {
      expect((await browser.post('/logout', { headers })).status).toBe(403);
      expect((await browser.post('/login', { headers, form: ADA })).status).toBe(403);
    }
    expect((await browser.get('/me')).status).toBe(200);

    const own = { 'sec-fetch-site': 'same-origin', origin: sample.url };
    expect((await browser.post('/logout', { headers: own })).status).toBe(303);
  });
});

describe('The serializers of the quickstart sample', () => {
  afterEach(closeAll);

  async function loggedInWith(serializer: string) {
    const DATABASE_FILE = temporaryDatabase();
    const sample = await quickstart({ SERIALIZER: serializer, DATABASE_FILE });
    const browser = browserOn(sample);
    await browser.post('/login', { form: ADA });
    expect((await browser.get('/me')).json()).toEqual(ADA_IN_PUBLIC);
    return { browser, database: DATABASE_FILE };
  }

  async function change(database: string, statement: string) {
    const client = createClient({ url: `file:${database}` });
    await client.execute(statement);
    client.close();
  }

  it('show a changed name at once when the session keeps the id, and log a deleted user out', async () => {
    const { browser, database } = await loggedInWith('id');

    await change(database, `UPDATE users SET name = 'Countess of <Lovelace>' WHERE id = 1`);
    expect((await browser.get('/me')).json()).toEqual({ ...ADA_IN_PUBLIC, name: 'Countess of <Lovelace>' });
    expect((await browser.get('/')).text).toContain('Hello, Countess of &#60;Lovelace&#62;');

    await change(database, 'DELETE FROM users WHERE id = 1');
    expect((await browser.get('/me')).status).toBe(401);
  });

  it('need no database when the session keeps a snapshot, and show a changed name after the next login', async () => {
    const { browser, database } = await loggedInWith('snapshot');

    await change(database, `UPDATE users SET name = 'Countess of Lovelace' WHERE id = 1`);
    expect((await browser.get('/me')).json()).toEqual(ADA_IN_PUBLIC);

    await browser.post('/login', { form: ADA });
    expect((await browser.get('/me')).json()).toEqual({ ...ADA_IN_PUBLIC, name: 'Countess of Lovelace' });
  });
});
