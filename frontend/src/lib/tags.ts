/** Who may do what with a tag; the server decides again. */
import { atLeast, boot, LEVEL } from "./api/boot";
import type { Tag } from "./api/tags";

export const SCOPE_LABELS: Record<string, string> = { global: "Global", admin: "Admin" };

/** Scopes in which this person may create and attach tags. */
export function writableScopes(): { value: string; label: string }[] {
  const own = { value: boot.user.username, label: `Private (${boot.user.username})` };
  const scopes = boot.user.username ? [own] : [];
  if (atLeast(LEVEL.support)) scopes.push({ value: "global", label: "Global" });
  if (atLeast(LEVEL.admin)) scopes.push({ value: "admin", label: "Admin" });
  return scopes;
}

/** Deleting and renaming a tag touches every job that carries it: more than attaching it. */
export const mayDelete = (tag: Tag): boolean => (tag.scope === "admin" || tag.scope === "global" ? atLeast(LEVEL.admin) : mayWrite(tag));

export const mayWrite = (tag: Tag): boolean =>
  tag.scope === "admin" ? atLeast(LEVEL.admin) : tag.scope === "global" ? atLeast(LEVEL.support) : tag.scope === "private" || tag.scope === boot.user.username;
