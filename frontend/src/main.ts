import { mount } from "svelte";
import "./theme/app.scss";
import App from "./App.svelte";
import { loadSite } from "$lib/api/site";

const target = document.getElementById("app");
if (!target) throw new Error("index.html has no element with the id app");
void loadSite().catch(() => undefined); // every view needs it: asked for while the view's code is still coming
mount(App, { target });
