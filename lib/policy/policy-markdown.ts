import type { SessionPolicyDescription } from './policy-description.js';

type Policy = SessionPolicyDescription;

/** What depends on the application's code, which nobody can tell from the options. */
const TO_ADD = [
  'Why these limits suit this application, and why they differ from NIST SP 800-63B-4 where they do (OWASP ASVS 7.1.1).',
  'Logins with limits of their own: `remember`, `req.session.cookie.maxAge`.',
  'Identity providers and single sign-on: how long their sessions live, what ends them, and when users have to prove ' +
    'anew who they are. The sessions of this application follow the rules above, and end neither with a session of a ' +
    'provider nor with a logout there unless the application ends them (OWASP ASVS 7.1.3).',
  'Routes that ask for a fresh login (`@RequireFreshLogin`), or do not count as activity (`@PassiveRoute`).',
  'Browsers that are spared a factor (`trustFor`): which factor, and for how long.',
  'Routes that are open to other sites (`@AllowCrossSite`, `LoginGuard` with `crossSite: true`), and their defence.',
  'Where `credentialsChanged()` and `userDisabled()` are called, and whether the serializer has a `credentialStamp()`.',
];

/** The policy as a page of Markdown, in lists: what an option holds can break a table. */
export function policyMarkdown(policy: Policy): string {
  const sections: [string, readonly string[]][] = [
    ['Lifetime (OWASP ASVS 7.1.1)', lifetimeLines(policy)],
    ['Parallel sessions (OWASP ASVS 7.1.2)', parallelLines(policy)],
    ['Renewal of the secret', rotationLines(policy)],
    ['The cookie', cookieLines(policy)],
    ['How sessions end', endLines(policy)],
    ['Defences', defenceLines(policy)],
    ['Where sessions are stored', storeLines(policy)],
    ['Events for an audit', Object.entries(policy.auditEvents).map(([type, what]) => `${code(type)}: ${what}`)],
    ['Warnings at boot', policy.warnings],
    ['To be added by the application', TO_ADD],
  ];
  const texts = sections
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => `## ${title}\n\n${lines.map((line) => `- ${line}\n`).join('')}`);
  return `# Session policy\n\n${texts.join('\n')}`;
}

function lifetimeLines({ lifetime, nist, excludedRoutes }: Policy): string[] {
  const levels = Object.entries(nist).filter(([, isWithin]) => isWithin);
  const within = levels.map(([level]) => level.toUpperCase()).join(', ') || 'no level';
  return [
    `Inactivity timeout: ${lifetime.idle.text}. Activity is written down every ${lifetime.touchEvery.text}; a session may ` +
      'expire by that much earlier.',
    `Maximum lifetime: ${lifetime.absolute.text} from the login or the last proof of identity.`,
    `A login of several steps: ${lifetime.pendingLogin.text}.`,
    `Within the limits of NIST SP 800-63B-4 for: ${within}.`,
    ...(excludedRoutes.length > 0 ? [`Routes without a session: ${codes(excludedRoutes)}.`] : []),
  ];
}

function parallelLines({ parallelSessions: limited }: Policy): string[] {
  if (limited === null) {
    return ['A user may have any number of sessions at a time.'];
  }
  return [
    `A user may have ${limited.limit} ${limited.limit === 1 ? 'session' : 'sessions'} at a time.`,
    limited.overflow === 'reject'
      ? 'One login more is refused (409, `too_many_sessions`).'
      : "One login more ends the user's least recently used session (reason `limit`).",
  ];
}

function rotationLines({ rotation }: Policy): string[] {
  return [
    'A login and a new proof of identity open a new session id, and end the former one.',
    rotation === null
      ? 'In between, the secret in the cookie stays the same.'
      : `In between, the secret in the cookie changes every ${rotation.every.text}; the former one stays good for ` +
        `${rotation.grace.text}.`,
  ];
}

function cookieLines({ cookie, signing }: Policy): string[] {
  const { name, prefix, path, domain, sameSite, secure, partitioned, outlivesSession, adopts } = cookie;
  return [
    `Name: ${code(name)}${prefix === null ? ', without a prefix that browsers check' : ''}.`,
    `Path: ${code(path)}. Domain: ${domain === null ? 'none, so that it is sent to this host alone' : code(domain)}.`,
    `HttpOnly; Secure: ${secure === 'auto' ? 'where the request is' : yesNo(secure)}; SameSite: ${code(sameSite)}; ` +
      `Partitioned: ${yesNo(partitioned)}.`,
    `The cookie of a login outlives its session by ${outlivesSession.text}, so that its browser can be told why it ended.`,
    `Signed by ${signing.algorithm}. Secrets: ${signing.secrets}${signing.secrets > 1 ? ', of which the first signs' : ''}.`,
    'The session id has 256 random bits. The store keeps only a hash of it.',
    ...(adopts === null ? [] : [`Sessions of the former stack, by its cookie ${code(adopts)}, are carried over.`]),
  ];
}

function endLines({ endReasons, endsRememberedFor }: Policy): string[] {
  return [
    endsRememberedFor === null
      ? 'The reason of an end is not remembered.'
      : `Why a session ended is remembered for ${endsRememberedFor.text}, and told to its browser alone.`,
    ...Object.entries(endReasons).map(([reason, what]) => `${code(reason)}: ${what}`),
  ];
}

function defenceLines({ defences, device, knownDevices }: Policy): string[] {
  const { crossSite, trustedOrigins, revocation, reuseDetection, connectionRecheck } = defences;
  const devices = {
    'address-and-user-agent': 'its address and user agent',
    custom: "what the application's own function returns",
    none: 'nothing',
  };
  return [
    crossSite === 'refuse'
      ? 'Requests from other sites are refused (403) that may change something in the name of who is logged in, that log ' +
        'in, or that open a connection.'
      : 'Requests from other sites are not refused: the application has a defence of its own.',
    `Other origins that are trusted: ${trustedOrigins.length > 0 ? codes(trustedOrigins) : 'none'}.`,
    `Sessions can be listed and ended from elsewhere: ${yesNo(revocation)}.`,
    `A session ends when a copy of its cookie is used after the secret has changed: ${yesNo(reuseDetection)}.`,
    `Open connections are closed when their session ends; each is checked at least every ${connectionRecheck.text}.`,
    `Remembered of the device at a login: ${devices[device]}.`,
    `Each login tells whether its browser is known, by a cookie of its own: ${yesNo(knownDevices)}.`,
  ];
}

function storeLines({ store }: Policy): string[] {
  const topology = store.topology === 'client' ? ', by a client of the application' : ` (${store.topology})`;
  const kinds = {
    redis: `Redis${topology}`,
    memory: "this process's memory",
    'express-session': 'a store of express-session',
  };
  return [
    `In ${kinds[store.kind]}.`,
    ...store.weaker,
    `While the store cannot be reached, guarded routes respond ${store.onError === 'fail' ? '503' : '401'}, within ` +
      `${store.timeout.text}.`,
  ];
}

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no';
}

function codes(texts: readonly string[]): string {
  return texts.map(code).join(', ');
}

/** A text as it is, whatever is in it: a fence longer than any run of backticks, on one line (CommonMark, 6.1). */
function code(text: string): string {
  const runs = text.match(/`+/g) ?? [];
  const fence = '`'.repeat(1 + Math.max(0, ...runs.map(({ length }) => length)));
  const padding = runs.length > 0 ? ' ' : '';
  return `${fence}${padding}${text.replaceAll(/\s+/g, ' ')}${padding}${fence}`;
}
