import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The requirements of OWASP ASVS 5.0 that a session library can meet. */
const REQUIREMENTS = [
  ...['3.3.1', '3.3.2', '3.3.3', '3.3.4', '3.3.5', '3.5.1', '3.5.2', '3.5.3', '3.7.2'],
  ...['7.1.1', '7.1.2', '7.1.3', '7.2.1', '7.2.2', '7.2.3', '7.2.4', '7.3.1', '7.3.2'],
  ...['7.4.1', '7.4.2', '7.4.3', '7.4.4', '7.4.5', '7.5.1', '7.5.2', '7.5.3', '7.6.1', '7.6.2'],
  ...['14.3.1', '14.3.2', '16.2.5', '16.5.3'],
];

/** The tests of the suite: each one's number and what it says. */
function tests(): string[] {
  const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.e2e.spec.ts'));
  const sources = files.map((name) => readFileSync(join(import.meta.dirname, name), 'utf8'));
  return sources.flatMap((source) =>
    Array.from(source.matchAll(/^ *(?:it\()?'V([\d.]+ [^']+)'/gm), ([, title = '']) => title.replace(': %s', '')),
  );
}

/** The rows of the table in the documentation: the first cell and the last one. */
function rows(): string[] {
  const page = readFileSync(join(import.meta.dirname, '../../docs/security/asvs.md'), 'utf8');
  const cells = Array.from(page.matchAll(/^\|(.*)\|$/gm), ([, row = '']) => row.split('|').map((cell) => cell.trim()));
  return cells.filter(([number = '']) => /^\d/.test(number)).map((row) => `${row[0]} ${row.at(-1)}`);
}

describe('the table of OWASP ASVS 5.0 in the documentation', () => {
  it('has each requirement once, in order', () => {
    expect(rows().map((row) => row.split(' ')[0])).toEqual(REQUIREMENTS);
  });

  it('names the tests of this suite, as they are called', () => {
    expect(rows().sort()).toEqual(tests().sort());
  });
});
