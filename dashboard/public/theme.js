// Before the first paint, so that a dark room never sees a white flash. Keys are those of src/settings.svelte.ts.
(function () {
  try {
    const root = document.documentElement;
    const chosen = JSON.parse(localStorage.getItem('gridtick.settings') || '{}');
    const dark =
      chosen.theme === 'dark' || (chosen.theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
    root.dataset.theme = dark ? 'dark' : 'light';
    if (chosen.side === 'blue-orange') root.dataset.side = 'blue-orange';
  } catch {
    document.documentElement.dataset.theme = 'light';
  }
})();
