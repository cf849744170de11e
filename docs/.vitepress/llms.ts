import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SiteConfig } from 'vitepress';
import { SITE } from './package.js';
import { DOCS, fileOf, SIDEBAR, type Page } from './sidebar.js';

/**
 * Writes llms.txt, a list of the pages (https://llmstxt.org), and llms-full.txt, the text of all of them, beside the pages:
 * for programs that answer questions about the library.
 */
export function writeLlmsTxt({ outDir, site }: SiteConfig): void {
  const sections = SIDEBAR.map(({ text, items }) => `## ${text}\n\n${items.map(entryOf).join('\n')}\n`);
  const list = `# ${site.title}\n\n> ${site.description}\n\n${sections.join('\n')}`;
  writeFileSync(join(outDir, 'llms.txt'), list);
  writeFileSync(join(outDir, 'llms-full.txt'), SIDEBAR.flatMap(({ items }) => items.map(textOf)).join('\n'));
}

/** A page's line: its title, address and first sentence. */
function entryOf(page: Page): string {
  const [first = ''] = textOf(page)
    .replace(/^```[^]*?^```$/gm, '')
    .split(/\n\n+/)
    .filter((paragraph) => /^[A-Za-z`*[]/.test(paragraph));
  const plain = first
    .replace(/\s+/g, ' ')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/(?<=\.) .*$/, '');
  return `- [${page.text}](${SITE}${page.link.slice(1)}): ${plain}`;
}

const textOf = (page: Page) => readFileSync(join(DOCS, fileOf(page)), 'utf8').replace(/^---\n.*?\n---\n/s, '');
