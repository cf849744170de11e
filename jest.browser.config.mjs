/** The samples, and what only a browser can show, in a real Chromium. `npm run test:browser`. */
import quick from './jest.config.mjs';

export default { ...quick, testMatch: ['**/*.browser.spec.ts'], testPathIgnorePatterns: [], testTimeout: 60_000 };
