import type { SessionInfo } from 'nestjs-session-auth';
import { html, type Html } from './html.js';
import type { User } from './users.service.js';
import { addressInWords, atTime, deviceInWords, fromNow } from './words.js';

function page(title: string, header: Html | '', main: Html): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${title}</title>
        <link rel="stylesheet" href="/style.css" />
        <link rel="icon" href="/icon.svg" />
        <script src="/session-end.js" type="module"></script>
      </head>
      <body>
        <header><a class="brand" href="/">Devices</a>${header}</header>
        <main>${main}</main>
      </body>
    </html>`.toString();
}

function userHeader({ name }: User): Html {
  return html`<form class="user" method="post" action="/logout">
    <span>${name}</span>
    <button class="quiet">Log out</button>
  </form>`;
}

interface LoginPage {
  username?: string;
  remember?: boolean;
  /** Why the login that was tried failed. */
  error?: string;
  /** Why the visitor is not logged in any more. */
  reason?: string;
}

export function loginPage({ username = '', remember = false, error = '', reason = '' }: LoginPage): string {
  return page(
    'Log in',
    '',
    html`<form class="card" method="post" action="/login">
      <h1>Log in</h1>
      ${reason && html`<p class="message" role="status">${reason}</p>`}
      ${error && html`<p class="message error" role="alert">${error}</p>`}
      <label>Username <input name="username" value="${username}" autocomplete="username" required autofocus /></label>
      <label>Password <input name="password" type="password" autocomplete="current-password" required /></label>
      <label class="check">
        <input name="remember" type="checkbox" value="yes" ${remember ? 'checked' : ''} />
        Remember me for 30 days
      </label>
      <button>Log in</button>
    </form>`,
  );
}

export function confirmPage(user: User, error = ''): string {
  return page(
    'Confirm your password',
    userHeader(user),
    html`<form class="card" method="post" action="/confirm">
      <h1>Confirm your password</h1>
      <p class="soft">Your login is no longer fresh. Before other devices can be signed out, show that it is you.</p>
      ${error && html`<p class="message error" role="alert">${error}</p>`}
      <input name="username" value="${user.username}" autocomplete="username" hidden />
      <label>
        Password
        <input name="password" type="password" autocomplete="current-password" required autofocus />
      </label>
      <button>Confirm</button>
      <a class="soft" href="/">Back to your devices</a>
    </form>`,
  );
}

interface DevicesPage {
  user: User;
  current: SessionInfo;
  others: SessionInfo[];
  notice: string;
}

export function devicesPage({ user, current, others, notice }: DevicesPage): string {
  return page(
    'Your devices',
    userHeader(user),
    html`<section>
      <h1>Your devices</h1>
      <p class="soft">
        You can be logged in on five at a time. A sixth login signs out the device that was not seen for the longest
        time.
      </p>
      ${notice && html`<p class="message" role="status">${notice}</p>`}
      <form class="devices" method="post" action="/devices/sign-out">
        <ul>
          ${device(current, true)} ${others.map((other) => device(other, false))}
        </ul>
      </form>
      ${
        others.length > 0 &&
        html`<form class="others" method="post" action="/devices/sign-out-others">
          <button>Sign out all others</button>
          <p class="soft">Signing out other devices asks for your password unless you have just given it.</p>
        </form>`
      }
      <p class="soft" id="session-end">
        This session ends at <time datetime="${current.expiresAt.toISOString()}">${atTime(current.expiresAt)}</time>
        (<span>${fromNow(current.expiresAt)}</span>) if you do not use it.
      </p>
    </section>`,
  );
}

function device({ handle, device, authenticatedAt, seenAt, expiresAt }: SessionInfo, isCurrent: boolean): Html {
  const { name, kind } = deviceInWords(device);
  return html`<li>
    <img src="/${kind}.svg" alt="" width="40" height="40" />
    <div>
      <h2>${name} ${isCurrent && html`<strong class="badge">This device</strong>`}</h2>
      <p class="soft">
        ${addressInWords(device)}<br />
        <span>logged in ${time(authenticatedAt)}</span> · <span>last seen ${time(seenAt)}</span> ·
        <span>expires ${time(expiresAt)}</span>
      </p>
    </div>
    <button
      class="quiet"
      name="handle"
      value="${handle}"
      ${isCurrent && html`formaction="/logout"`}
      aria-label="Sign out ${name}"
    >
      Sign out
    </button>
  </li>`;
}

function time(at: Date): Html {
  return html`<time datetime="${at.toISOString()}" title="${atTime(at)}">${fromNow(at)}</time>`;
}
