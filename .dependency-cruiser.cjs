/** The rooms of lib, lowest rank first: a file imports from its own room and from lower ranks. */
const RANKS = [
  ['session-auth[.](options|errors)[.]ts$', 'validation/'],
  ['model/'],
  ['http/'],
  ['store/'],
  ['redis/', 'memory/'],
  ['session/'],
  ['passport/', 'serializer/', 'registry/', 'events/', 'access/', 'login/', 'policy/'],
  ['cross-site/'],
  ['connections/'],
  ['platform/'],
  ['session-auth[.]module[.]ts$'],
  ['index[.]ts$'],
];
const STORES = ['redis/', 'memory/'];
const ENTRIES = ['health/', 'testing/', 'metrics/', 'swagger/'];

const OPTIONS = '^lib/(session-auth[.]options[.]ts$|validation/)';
const inLib = (...rooms) => rooms.flat(Infinity).map((room) => `^lib/${room}`);
const ranks = (from, to) => inLib(RANKS.slice(from, to));
const npm = (...names) => `(^|/)node_modules/(@types/)?(${names.join('|')})(/|$)`;

/** Only files under `rooms` import the package. */
const onlyIn = (rooms, name, ...packages) => ({
  name,
  severity: 'error',
  from: { path: '^lib/', pathNot: inLib(rooms) },
  to: { path: npm(...packages) },
});

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'known-rooms-only',
      comment: 'A new file or folder directly under lib needs a rank here, or no rule holds for it.',
      severity: 'error',
      from: { path: '^lib/', pathNot: inLib(RANKS.flat(), ENTRIES) },
      to: {},
    },
    {
      name: 'known-rooms-only-also-as-targets',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^lib/', pathNot: inLib(RANKS.flat(), ENTRIES) },
    },
    {
      name: 'options-import-types-only',
      comment: 'Options name the types of what they configure. They run nothing of it.',
      severity: 'error',
      from: { path: OPTIONS },
      to: { path: ['^lib/', npm('express-session')], pathNot: ranks(0, 1), dependencyTypesNot: ['type-only'] },
    },
    ...RANKS.map((_, rank) => ({
      name: `rank-${rank}-imports-down-only`,
      severity: 'error',
      from: { path: ranks(rank, rank + 1), pathNot: OPTIONS },
      to: { path: ranks(rank + 1) },
    })).slice(0, -1),
    {
      name: 'stores-do-not-know-each-other',
      severity: 'error',
      from: { path: '^lib/(redis|memory)/' },
      to: { path: '^lib/(redis|memory)/', pathNot: '^lib/$1/' },
    },
    {
      name: 'stores-are-known-to-the-module-alone',
      severity: 'error',
      from: { path: '^lib/', pathNot: [...inLib(RANKS.at(-1), RANKS.at(-2), STORES), OPTIONS] },
      to: { path: inLib(STORES) },
    },
    ...ENTRIES.map((entry) => ({
      name: `nothing-imports-${entry.slice(0, -1)}`,
      severity: 'error',
      from: { path: '^lib/', pathNot: inLib(entry) },
      to: { path: inLib(entry) },
    })),
    {
      name: 'no-barrel-imports',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: ['^lib/index[.]ts$', '^lib/.*/index[.]ts$'] },
    },
    {
      name: 'express-session-in-http-and-stores',
      comment: 'Others may name its types.',
      severity: 'error',
      from: { path: '^lib/', pathNot: inLib('http/', 'store/', STORES) },
      to: { path: npm('express-session'), dependencyTypesNot: ['type-only'] },
    },
    onlyIn(['redis/'], 'redis-in-redis', 'redis', '@redis', 'connect-redis', 'ioredis'),
    {
      name: 'no-static-redis-clients',
      comment: 'Optional peers, of which an application has one: import() redis where it opens a connection.',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: npm('redis', '@redis', 'ioredis'), dynamic: false, dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'passport-in-passport',
      comment: 'Declarations elsewhere may name its types.',
      severity: 'error',
      from: { path: '^lib/', pathNot: inLib('passport/') },
      to: { path: npm('passport', 'passport-strategy'), dependencyTypesNot: ['triple-slash-type-reference'] },
    },
    {
      name: 'no-static-message-transports',
      comment: 'Optional peers: import() them where they are needed.',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: npm('@nestjs/websockets', '@nestjs/microservices'), dynamic: false },
    },
    {
      name: 'no-graphql',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: npm('@nestjs/graphql', 'graphql') },
    },
    {
      name: 'declared-dependencies-only',
      comment: 'What lib imports is a dependency or a peer; a devDependency is not there for users.',
      severity: 'error',
      from: { path: '^lib/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown', 'unknown', 'undetermined', 'npm-optional'],
        dependencyTypesNot: ['npm', 'npm-peer'],
      },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: { path: '^lib/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      mainFields: ['module', 'main', 'types'],
    },
  },
};
