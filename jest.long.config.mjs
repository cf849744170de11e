/** What takes long: many rounds of races, much load, whole topologies, servers and processes that die. `npm run test:long`. */
import quick from './jest.config.mjs';

export default { ...quick, testMatch: ['**/*.long.spec.ts'], testPathIgnorePatterns: [], testTimeout: 120_000 };
