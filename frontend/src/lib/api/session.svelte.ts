/** Whether the server still knows this browser; the shell shows a bar when it does not. */
export const session = $state({ expired: false });
