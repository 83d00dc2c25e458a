/** Whether the server gives out another page than the one that is open, as after it was restarted with a new version. */

/** The address of the page's own program; the build names it after its contents. */
const program = /<script[^>]+type="module"[^>]*\ssrc="([^"]+)"/;

/** `own`: what was loaded. Nobody answers, or something else than the page: it counts as the same. */
export async function pageChanged(own: string | null): Promise<boolean> {
  try {
    const response = await fetch('/', { cache: 'no-store', headers: { accept: 'text/html' } });
    const [, served] = program.exec(await response.text()) ?? [];
    return response.ok && own !== null && served !== undefined && served !== own;
  } catch {
    return false;
  }
}

export const ownProgram = (page: Document): string | null =>
  page.querySelector('script[type="module"][src]')?.getAttribute('src') ?? null;
