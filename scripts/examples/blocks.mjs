import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { ROOT } from './compiler.mjs';

/**
 * @typedef {{ owner: string, file: string, line: number, code: string, label?: string }} Example
 *   `line` is that of the first line of code; `label` stands in brackets behind the fence, as VitePress has it
 */

const FENCE = /^```(?:ts|tsx|typescript)\b(?:\{[\d,-]+\})?(?: \[(?<label>[^\]]+)\])?$/;

/** The README and the pages of the site. */
export const PAGES = [
  'README.md',
  ...readdirSync(posix.join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .map((path) => posix.join('docs', path.replaceAll('\\', '/')))
    .filter((path) => path.endsWith('.md') && !path.includes('/.vitepress/'))
    .sort(),
];

/**
 * The fenced blocks of TypeScript.
 *
 * @type {(lines: string[], first: { owner: string, file: string, line: number }) => Example[]}
 */
export function codeBlocks(lines, { owner, file, line }) {
  return lines.flatMap((text, index) => {
    const fence = FENCE.exec(text.trim());
    if (!fence) return [];
    const begin = index + 1;
    const end = lines.findIndex((one, at) => at >= begin && one.trim() === '```');
    const code = lines.slice(begin, end < 0 ? lines.length : end).join('\n');
    return { owner, file, line: line + begin, code, label: fence.groups?.label };
  });
}

/** @type {(page: string) => Example[]} */
export const blocksOf = (page) =>
  codeBlocks(readFileSync(posix.join(ROOT, page), 'utf8').split('\n'), { owner: 'the page', file: page, line: 1 });
