import { html, type Html } from './html.js';
import type { User } from './users.service.js';

function page(title: string, header: Html | '', main: Html): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${title}</title>
        <link rel="stylesheet" href="/style.css" />
        <link rel="icon" href="/icon.svg" />
      </head>
      <body>
        <header><a class="brand" href="/">Quickstart</a>${header}</header>
        <main>${main}</main>
      </body>
    </html>`.toString();
}

export function loginPage(username = '', message = ''): string {
  return page(
    'Log in',
    '',
    html`<form class="card" method="post" action="/login">
      <h1>Log in</h1>
      ${message && html`<p class="message" role="alert">${message}</p>`}
      <label>Username <input name="username" value="${username}" autocomplete="username" required autofocus /></label>
      <label>Password <input name="password" type="password" autocomplete="current-password" required /></label>
      <button>Log in</button>
    </form>`,
  );
}

export function homePage({ name, username, picture }: User): string {
  return page(
    'Home',
    html`<form class="user" method="post" action="/logout">
      <img src="${picture}" alt="" width="36" height="36" />
      <span>${name}</span>
      <button class="quiet">Log out</button>
    </form>`,
    html`<section>
      <h1>Hello, ${name}</h1>
      <p>
        You are logged in as <b>${username}</b>. The session cookie in this browser says so on every page you open here.
      </p>
      <p>
        <a href="/me">See what <code>GET /me</code> returns</a>
      </p>
    </section>`,
  );
}
