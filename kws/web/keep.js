// The service worker that keeps the page's files: all of them are of one version, and loaded once.

const PATIENCE = 5000; // milliseconds for a network that may be gone

const limited = (work) => Promise.race([work, new Promise((resolve) => setTimeout(resolve, PATIENCE))]);

// Whether the page works without a network from now on. A newer version that was found is loaded
// whole, and the page with it.
export async function keepFiles() {
  if (!navigator.serviceWorker) return false;
  const before = navigator.serviceWorker.controller;
  const registration = await navigator.serviceWorker.register("sw.js");
  if (before) await limited(registration.update().catch(() => {}));
  const worker = registration.installing ?? registration.waiting;
  if (!worker) return Boolean(registration.active);
  await new Promise((resolve) => {
    worker.onstatechange = () => ["activated", "redundant"].includes(worker.state) && resolve();
    if (worker.state === "activated") resolve();
  });
  if (worker.state === "redundant") return Boolean(before);
  if (before) {
    location.reload();
    await new Promise(() => {}); // nothing more is done here
  }
  return true;
}
