/** Views saved under a name: own ones and those that others share. */
import { send } from "./settings";

export interface SavedView {
  id: string;
  name: string;
  route: string;
  query: string;
  /** With whom it is shared; empty: with nobody. */
  project: string;
  owner: string;
  own: boolean;
}

export const savedViews = async (): Promise<SavedView[]> => (await (await send("GET", "/frontend/views/")).json()) as SavedView[];

export const saveView = async (form: { name: string; route: string; query: string; project: string }): Promise<SavedView> =>
  (await (await send("POST", "/frontend/views/", form)).json()) as SavedView;

export async function forgetView(id: string): Promise<void> {
  await send("DELETE", `/frontend/views/?${new URLSearchParams({ id }).toString()}`);
}

export const hrefOf = (view: SavedView): string => (view.query ? `${view.route}?${view.query}` : view.route);
