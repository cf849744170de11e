import { defineConfig } from 'vitepress';
import { linksToFiles, REPOSITORY } from './links.js';
import { writeLlmsTxt } from './llms.js';
import { SIDEBAR } from './sidebar.js';

export default defineConfig({
  title: 'nestjs-session-auth',
  description:
    'Cookie-session login for NestJS by one import: sessions in Redis, Passport logins, a guard and a decorator.',
  lang: 'en',
  cleanUrls: true,
  ignoreDeadLinks: false,
  head: [['link', { rel: 'icon', type: 'image/svg+xml', href: '/mark.svg' }]],
  markdown: {
    config: linksToFiles,
    theme: { light: 'github-light', dark: 'github-dark' },
  },
  themeConfig: {
    logo: '/mark.svg',
    nav: [
      { text: 'Quickstart', link: '/quickstart' },
      { text: 'Options', link: '/options' },
      { text: 'Recipes', link: '/recipes' },
    ].filter(({ link }) => SIDEBAR.some(({ items }) => items.some((item) => item.link === link))),
    sidebar: SIDEBAR,
    outline: [2, 3],
    search: { provider: 'local' },
    ...(REPOSITORY && { socialLinks: [{ icon: 'github', link: REPOSITORY }] }),
  },
  buildEnd: writeLlmsTxt,
});
