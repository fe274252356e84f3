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
  return new Uint8Array(await response.arrayBuffer());
}

/** Have the page and its models kept, and say on it when they are. */
export function workOffline(note: HTMLElement, listed: readonly ListedModel[]): void {
  if (!("serviceWorker" in navigator)) {
    note.textContent = "not in this browser";
    return;
  }
  const kept = navigator.serviceWorker.register("./service_worker.js").then(async () => {
    await navigator.serviceWorker.ready;
    await (await caches.open(CACHE)).addAll(listed.map(({ file }) => file));
  });
  kept.then(
    () => (note.textContent = "works too"),
    () => (note.textContent = "not here"), // a full disk, or a page that is not on https or this machine
  );
}
