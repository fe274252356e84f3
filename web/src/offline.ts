/** What is fetched from where the page came from, and kept so that the page works without it. */

import { PlainError } from "./errors.ts";

const CACHE = "speechrnn"; // as in service_worker.ts

export interface ListedModel {
  name: string;
  file: string;
  /** In bytes. */
  size: number;
}

/** The models that are served with the page, the one to begin with first. */
export async function listModels(): Promise<ListedModel[]> {
  const response = await fetch("models/index.json");
  return response.ok ? await response.json() : [];
}

export async function fetchModel({ name, file }: ListedModel): Promise<Uint8Array> {
  const response = await fetch(file).catch(() => null);
  if (!response?.ok) throw new PlainError(`The model ${name} cannot be loaded; is “speechrnn demo” still running?`);
  await keep(file, response.clone());
  return new Uint8Array(await response.arrayBuffer());
}

/** Keep a file that the service worker, on the page's first visit, did not see pass. */
async function keep(file: string, response: Response): Promise<void> {
  if ("caches" in globalThis) await (await caches.open(CACHE)).put(file, response).catch(() => {}); // a full disk
}

/** Have the page kept, and say on it when it is. */
export function workOffline(note: HTMLElement): void {
  if (!("serviceWorker" in navigator)) {
    note.textContent = "not in this browser";
    return;
  }
  navigator.serviceWorker.register("./service_worker.js").catch(() => {
    note.textContent = "not here";
  });
  void navigator.serviceWorker.ready.then(() => {
    note.textContent = "works too";
  });
}
