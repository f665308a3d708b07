// Runs before the first paint, so that the page does not flash in the other theme.
document.documentElement.dataset.bsTheme =
  localStorage.getItem('theme') ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
