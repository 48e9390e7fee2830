import { toasts } from "./toasts.svelte";

/** Copies a text and says whether that worked. */
export async function copyText(text: string, done = "Copied.", failed = "The browser did not allow copying."): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    toasts.done(done);
    return true;
  } catch {
    toasts.failed(failed);
    return false;
  }
}
