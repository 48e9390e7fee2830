import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

const INITIAL_JS_LIMIT = 250 * 1024; // bytes, gzip; first page load must stay quick on slow links

/** Puts the theme choice into a blocking script of its own, so that no page flashes in the wrong colours. */
function themeBeforeFirstPaint(): Plugin {
  const source = readFileSync(new URL("./src/theme/before-paint.js", import.meta.url), "utf8");
  const name = `assets/theme-${createHash("sha256").update(source).digest("hex").slice(0, 8)}.js`;
  return {
    name: "theme-before-first-paint",
    apply: "build",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: name, source });
    },
    transformIndexHtml: () => [{ tag: "script", attrs: { src: `/${name}` }, injectTo: "head-prepend" }],
  };
}

/** Fails the build when what index.html loads at once grows beyond the limit. */
function limitInitialScripts(): Plugin {
  return {
    name: "limit-initial-scripts",
    apply: "build",
    generateBundle(_options, bundle) {
      const seen = new Set<string>();
      const visit = (file: string): number => {
        const chunk = bundle[file];
        if (seen.has(file) || chunk?.type !== "chunk") return 0;
        seen.add(file);
        return gzipSync(chunk.code).length + chunk.imports.reduce((sum, next) => sum + visit(next), 0);
      };
      const entry = Object.values(bundle).find((item) => item.type === "chunk" && item.isEntry && item.name === "index");
      if (!entry) this.error("no entry chunk called index");
      const size = visit(entry.fileName);
      if (size > INITIAL_JS_LIMIT) this.error(`initial scripts are ${size} bytes (gzip), limit ${INITIAL_JS_LIMIT}`);
      this.info(`initial scripts: ${(size / 1024).toFixed(1)} kB gzip of ${INITIAL_JS_LIMIT / 1024} kB`);
    },
  };
}

/**
 * Few files instead of many small ones, which would queue for a connection: what most views share comes with the
 * first script, plots and the parts of a job in one piece each; views and dialogs come when they are needed.
 */
function chunkOf(id: string): string | undefined {
  if (/\/src\/lib\/(api|ui)\/|\/src\/lib\/[^/]+\.ts$|\/plots\/(Sparkline|LevelMark|palette|look|schemes|levels)\b|\/jobs\/(StateBadge|footprint|share)\b/.test(id)) return "shared";
  if (/\/src\/lib\/plots\/|\/node_modules\/uplot\//.test(id)) return "plots";
  return undefined;
}

export default defineConfig({
  plugins: [svelte(), themeBeforeFirstPaint(), limitInitialScripts()],
  resolve: { alias: { $lib: new URL("./src/lib", import.meta.url).pathname } },
  css: { preprocessorOptions: { scss: { quietDeps: true, silenceDeprecations: ["import"] } } },
  build: {
    outDir: "../ccserver/web",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the content security policy allows no data: scripts, keep everything a file
    manifest: true, // tells the server which files a view needs
    rollupOptions: {
      input: { index: "index.html", login: "login.html", message: "message.html", playground: "playground.html" },
      output: { manualChunks: chunkOf },
    },
  },
});
