/** What a user chose for this browser; public/theme.js reads the same key before the first paint. */

export type Theme = 'system' | 'light' | 'dark';
export type Side = 'green-red' | 'blue-orange';

interface Chosen {
  theme: Theme;
  side: Side;
  /** Single-letter keys (WCAG 2.1.4: they can be switched off). */
  keys: boolean;
  railCollapsed: boolean;
  /** Where the user traded last. */
  station: string;
}

const storageKey = 'gridtick.settings';
const defaults: Chosen = { theme: 'system', side: 'green-red', keys: true, railCollapsed: false, station: '' };

function stored(): Chosen {
  try {
    return { ...defaults, ...(JSON.parse(localStorage.getItem(storageKey) ?? '{}') as Partial<Chosen>) };
  } catch {
    return { ...defaults };
  }
}

export const settings: Chosen = $state(stored());

const systemDark = matchMedia('(prefers-color-scheme: dark)');
let dark = $state(systemDark.matches);
systemDark.addEventListener('change', () => (dark = systemDark.matches));

/** The theme that is shown. Charts read this to take over the colours. */
export const shownTheme = (): 'light' | 'dark' =>
  settings.theme === 'system' ? (dark ? 'dark' : 'light') : settings.theme;

/** Call inside an effect: writes the choice to the page and keeps it. */
export function applySettings(): void {
  const { dataset } = document.documentElement;
  dataset.theme = shownTheme();
  if (settings.side === 'blue-orange') dataset.side = settings.side;
  else delete dataset.side;
  try {
    localStorage.setItem(storageKey, JSON.stringify(settings));
  } catch {
    // Storage is full or forbidden: the choice lasts until the page is left.
  }
}
