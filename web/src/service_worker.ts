/** Keeps what the page was made of, so that it works without a network; with one, the server's files come first. */

const worker = self as unknown as ServiceWorkerGlobalScope;

const CACHE = "speechrnn";

worker.addEventListener("install", (event) => event.waitUntil(keepFiles()));
worker.addEventListener("activate", (event) => event.waitUntil(worker.clients.claim()));
worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && new URL(request.url).origin === worker.location.origin) {
    event.respondWith(answer(request));
  }
});

/** Keep every file of the page; it keeps the models itself. */
async function keepFiles(): Promise<void> {
  const listed = await fetch("./files.json", { cache: "no-cache" });
  const files: string[] = await listed.json();
  const cache = await caches.open(CACHE);
  await cache.addAll(["./", ...files.map((file) => `./${file}`)]);
  await worker.skipWaiting();
}

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}
