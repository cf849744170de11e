import type { KeptRequest } from 'nestjs-session-auth';
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
        <header><a class="brand" href="/">Two factors</a>${header}</header>
        <main>${main}</main>
      </body>
    </html>`.toString();
}

function userHeader({ name }: Pick<User, 'name'>): Html {
  return html`<form class="user" method="post" action="/logout">
    <span>${name}</span>
    <button class="quiet">Log out</button>
  </form>`;
}

const alert = (error: string): Html | '' => error && html`<p class="message error" role="alert">${error}</p>`;
const status = (text: string): Html | '' => text && html`<p class="message" role="status">${text}</p>`;

const codeField = html`<label>
  Code
  <input name="code" inputmode="numeric" autocomplete="one-time-code" required autofocus />
</label>`;

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
      ${status(reason)} ${alert(error)}
      <label>Username <input name="username" value="${username}" autocomplete="username" required autofocus /></label>
      <label>Password <input name="password" type="password" autocomplete="current-password" required /></label>
      <button>Log in</button>
    </form>`,
  );
}

export function codePage(error = ''): string {
  return page(
    'Enter the code',
    userHeader({ name: '' }),
    html`<form class="card" method="post" action="/login/code">
      <h1>Enter the code</h1>
      <p class="soft">Your authenticator app shows it.</p>
      ${alert(error)} ${codeField}
      <label class="check">
        <input name="trust" type="checkbox" value="yes" />
        Do not ask again on this device for 30 days
      </label>
      <button>Log in</button>
    </form>`,
  );
}

interface HomePage {
  user: User;
  hasTwoFactors: boolean;
  /** What was typed, where that was wrong. */
  iban?: string;
  error?: string;
  notice?: string;
}

export function homePage({ user, hasTwoFactors, iban = '', error = '', notice = '' }: HomePage): string {
  return page(
    'Your account',
    userHeader(user),
    html`<section>
      <h1>Your account</h1>
      ${status(notice)} ${alert(error)}
      <h2>Payout account</h2>
      <p id="iban">${user.iban}</p>
      ${
        hasTwoFactors
          ? html`<form id="payout" method="post" action="/payout">
              <label>New IBAN <input name="iban" value="${iban}" autocomplete="off" required /></label>
              <button>Change</button>
            </form>`
          : html`<p class="soft">To change it, turn on two factors first.</p>`
      }
      <h2>Two factors</h2>
      ${
        hasTwoFactors
          ? html`<form method="post" action="/two-factors/off">
              <p>They are on.</p>
              <button class="quiet">Turn off</button>
            </form>`
          : html`<p><a href="/two-factors">Turn on</a></p>`
      }
    </section>`,
  );
}

interface EnrolmentPage {
  user: User;
  /** Of the scheme `otpauth:`, which authenticator apps open. */
  link: string;
  secret: string;
  /** The link as a picture. */
  qrCode: string;
  error: string;
}

export function enrolmentPage({ user, link, secret, qrCode, error }: EnrolmentPage): string {
  return page(
    'Turn on two factors',
    userHeader(user),
    html`<form class="card" method="post" action="/two-factors">
      <h1>Turn on two factors</h1>
      <p class="soft">Scan this with an authenticator app, and enter the code that it shows.</p>
      <img class="qr" src="${qrCode}" alt="The secret below, as a QR code" />
      <p class="soft"><a href="${link}">Open it in an app</a>, or type the secret:<br /><code>${secret}</code></p>
      ${alert(error)} ${codeField}
      <button>Turn on</button>
    </form>`,
  );
}

interface ConfirmPage {
  user: User;
  asksForCode: boolean;
  error?: string;
}

export function confirmPage({ user, asksForCode, error = '' }: ConfirmPage): string {
  return page(
    'Show that it is you',
    userHeader(user),
    html`<form class="card" method="post" action="/confirm">
      <h1>Show that it is you</h1>
      <p class="soft">
        ${asksForCode ? 'Enter the code that your authenticator app shows.' : 'Enter your password.'} Then you can go
        on.
      </p>
      ${alert(error)}
      ${
        asksForCode
          ? codeField
          : html`<input name="username" value="${user.username}" autocomplete="username" hidden />
              <label>
                Password
                <input name="password" type="password" autocomplete="current-password" required autofocus />
              </label>`
      }
      <button>Confirm</button>
      <a class="soft" href="/">Back to your account</a>
    </form>`,
  );
}

/** The form that was interrupted. Its fields are as they were, for the user to see what is sent. */
export function onceMorePage(user: User, { path, fields = [] }: KeptRequest): string {
  return page(
    'Go on',
    userHeader(user),
    html`<form id="once-more" class="card" method="post" action="${path}">
      <h1>Thank you</h1>
      <p class="soft">This is what you were about to do:</p>
      ${fields.map(([name, value]) => html`<label>${name} <input name="${name}" value="${value}" readonly /></label>`)}
      <button autofocus>Go on</button>
      <a class="soft" href="/">Do nothing</a>
    </form>`,
  );
}

export function problemPage(problem: string): string {
  return page('Sorry', '', html`<section>${alert(problem)}</section>`);
}
