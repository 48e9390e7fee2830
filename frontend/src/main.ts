import { mount } from "svelte";
import "./theme/app.scss";
import App from "./App.svelte";
import { loadSite } from "$lib/api/site";
import { match } from "$lib/router.svelte";

const target = document.getElementById("app");
if (!target) throw new Error("index.html has no element with the id app");
// Every view but the public dashboard needs it: asked for while the view's code is still coming.
if (match(location.pathname)?.name !== "dashboard") void loadSite().catch(() => undefined);
mount(App, { target });
