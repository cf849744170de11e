import { join, relative } from 'node:path';
import type { MarkdownRenderer } from 'vitepress';
import { REPOSITORY, ROOT } from './package.js';

/**
 * Links to what is no page, such as `../sample/03-live`, work where the Markdown files lie. On the site they lead to the
 * repository.
 */
export function linksToFiles(markdown: MarkdownRenderer): void {
  markdown.core.ruler.push('links-to-files', ({ tokens, env }) => {
    const { path } = env as { path?: string };
    if (path === undefined) return;
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      const href = token.type === 'link_open' && token.attrGet('href');
      if (href) token.attrSet('href', addressOf(href, path));
    }
  });
}

function addressOf(href: string, page: string): string {
  const [path = ''] = href.split('#');
  if (path === '' || path.startsWith('/') || path.includes(':')) return href;
  const target = relative(ROOT, join(page, '..', path));
  if (target.startsWith('docs/') && target.endsWith('.md')) return href;
  return `${REPOSITORY}/blob/main/${target}`;
}
