/* The service worker: lets the page be opened and reloaded without network. Data is none of its business. */

declare const self: ServiceWorkerGlobalScope;

const SHELL = 'cache-sync-shell';

self.addEventListener('install', (event) => event.waitUntil(fetchShell().then(() => self.skipWaiting())));
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== self.location.origin || pathname.startsWith('/api/')) return;
  event.respondWith(request.mode === 'navigate' ? openPage(request, event) : openAsset(request));
});

/** The newest page there is; without network the one that was kept. */
async function openPage(request: Request, event: FetchEvent): Promise<Response> {
  try {
    const response = await fetch(request);
    if (response.ok) event.waitUntil(fetchShell().catch(() => {}));
    return response;
  } catch (error) {
    const kept = await caches.match('/', { cacheName: SHELL });
    if (kept === undefined) throw error;
    return kept;
  }
}

/** Assets have a hash of their content in their names: what was kept is what the server has. */
async function openAsset(request: Request): Promise<Response> {
  return (await caches.match(request, { cacheName: SHELL })) ?? fetch(request);
}

/** Keeps the page and all that it is made of, and nothing of earlier versions. */
async function fetchShell(): Promise<void> {
  const shell = await caches.open(SHELL);
  const page = await fetch('/', { cache: 'no-cache' });
  const assets = [...(await page.clone().text()).matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, url]) => url!);
  // A sign-in page, or that of a hotel's network, has a good status, too.
  if (!page.ok || page.redirected || assets.length === 0) throw new Error(`This is not the page: ${page.status}`);
  const known = new Set((await shell.keys()).map(({ url }) => new URL(url).pathname));
  await shell.addAll(assets.filter((url) => !known.has(url)));
  await shell.put('/', page);
  const wanted = new Set(['/', ...assets]);
  await Promise.all([...known].filter((url) => !wanted.has(url)).map((url) => shell.delete(url)));
}
