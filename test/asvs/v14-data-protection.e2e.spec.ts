import { Controller, Get, Header, UseGuards } from '@nestjs/common';
import { SessionGuard } from '../../lib/index.js';
import { describePlatforms } from '../support/platforms.js';
import { productionSite, type SecureBrowser } from './site.js';

/** Pages of which the handler says something to caches that come before the browser's, or nothing. */
@Controller('pages')
@UseGuards(SessionGuard)
class PagesController {
  @Get('statement')
  statement() {
    return '<p>42</p>';
  }

  @Get('cdn')
  @Header('CDN-Cache-Control', 'max-age=600')
  @Header('Surrogate-Control', 'max-age=600')
  cdn() {
    return '<p>42</p>';
  }
}

describePlatforms(() => {
  const site = productionSite({ controllers: [PagesController] });

  it('V14.3.1 a logout has the browser clear what it keeps of this site, also where the session has ended before', async () => {
    const person = site.person();
    const clearedBy = async (browser: SecureBrowser) => (await browser.post('/leave')).headers['clear-site-data'];
    const endedBefore = await site.loggedIn(person);
    await site.browser().post('/admin/sign-out', { json: { id: person.id } });
    const browser = await site.loggedIn(person);

    expect([await clearedBy(endedBefore), await clearedBy(browser)]).toEqual(Array(2).fill('"cache", "storage"'));
    expect(browser.cookies.size).toBe(0);
    // Whoever is sent here by another page loses nothing.
    expect(await clearedBy(site.browser())).toBeUndefined();
  });

  it('V14.3.2 what only a user may see, and what brings the cookie, is stored by no cache', async () => {
    const browser = await site.loggedIn(site.person());
    const responses = [
      await browser.get('/me'),
      await browser.get('/pages/statement'),
      await browser.get('/pages/cdn'),
      await browser.get('/account/sessions'),
      await site.browser().request('PUT', '/session/cart', { json: { value: 1 } }),
      await site.browser().post('/login', { json: site.credentialsOf(site.person()) }),
      await browser.post('/leave'),
    ];

    for (const { status, headers } of responses) {
      expect([status < 300, headers['cache-control']]).toEqual([true, 'no-store']);
      expect(Object.keys(headers).filter((name) => /cdn|surrogate/.test(name))).toEqual([]);
    }
  });
});
