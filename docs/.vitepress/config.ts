import { defineConfig } from 'vitepress';
import { linksToFiles } from './links.js';
import { writeLlmsTxt } from './llms.js';
import { REPOSITORY, SITE } from './package.js';
import { SIDEBAR } from './sidebar.js';

const BASE = new URL(SITE).pathname;

export default defineConfig({
  base: BASE,
  title: 'nestjs-session-auth',
  description:
    'Cookie-session login for NestJS by one import: sessions in Redis, Passport logins, a guard and a decorator.',
  lang: 'en',
  cleanUrls: true,
  ignoreDeadLinks: false,
  head: [['link', { rel: 'icon', type: 'image/svg+xml', href: `${BASE}mark.svg` }]],
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
    ],
    sidebar: SIDEBAR,
    outline: [2, 3],
    search: { provider: 'local' },
    socialLinks: [{ icon: 'github', link: REPOSITORY }],
  },
  buildEnd: writeLlmsTxt,
});
