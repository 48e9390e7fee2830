/** The time in unix seconds, moving once a second while somebody looks at it. */
let value = $state(Math.floor(Date.now() / 1000));
setInterval(() => {
  if (!document.hidden) value = Math.floor(Date.now() / 1000);
}, 1000);

export const now = (): number => value;
