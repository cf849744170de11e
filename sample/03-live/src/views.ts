import { html, type Html } from './html.js';
import { SENTENCES } from './sign-out-reasons.js';
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
        <script src="/live.js" type="module"></script>
      </head>
      <body>
        <header><a class="brand" href="/">Live</a>${header}</header>
        <main>${main}</main>
      </body>
    </html>`.toString();
}

interface LoginPage {
  username?: string;
  /** Why the login that was tried failed. */
  error?: string;
  /** Why the visitor is not logged in any more. */
  reason?: string;
}

export function loginPage({ username = '', error = '', reason = '' }: LoginPage): string {
  return page(
    'Log in',
    '',
    html`<form class="card" method="post" action="/login">
      <h1>Log in</h1>
      ${reason && html`<p class="message" role="status">${reason}</p>`}
      ${error && html`<p class="message error" role="alert">${error}</p>`}
      <label>Username <input name="username" value="${username}" autocomplete="username" required autofocus /></label>
      <label>Password <input name="password" type="password" autocomplete="current-password" required /></label>
      <button>Log in</button>
    </form>`,
  );
}

/** @param handle of this device's session */
export function livePage({ name }: User, handle: string): string {
  return page(
    'Live',
    html`<form class="user" method="post" action="/logout">
      <span>${name}</span>
      <button class="quiet">Log out</button>
    </form>`,
    html`<section id="live" data-handle="${handle}" data-reasons="${JSON.stringify(SENTENCES)}">
      <div id="ended" class="message error" role="alert" hidden>
        <p></p>
        <a href="/login">Log in again</a>
      </div>
      <h1>Your devices</h1>
      <ul id="devices" class="devices" aria-live="polite"></ul>
      <h1>Chat</h1>
      <p class="soft">With everybody who is logged in.</p>
      <ul id="chat" aria-live="polite"></ul>
      <form id="say">
        <input name="text" maxlength="500" autocomplete="off" aria-label="What you say" required />
        <button>Say</button>
      </form>
    </section>`,
  );
}
