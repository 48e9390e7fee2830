/** What may stand in a file of settings, under its key of today or of older interfaces. */

type Check = (value: unknown) => boolean;

const flag: Check = (value) => typeof value === "boolean";
const text: Check = (value) => typeof value === "string";
const whole = (low: number, high: number): Check => (value) => Number.isInteger(value) && (value as number) >= low && (value as number) <= high;
const listOf = (check: Check): Check => (value) => Array.isArray(value) && value.every(check);
const oneOf = (...allowed: string[]): Check => (value) => allowed.includes(value as string);
const names = listOf(text);
const anything: Check = () => true;

const CHECKS: Record<string, Check> = {
  jobList_usePaging: flag,
  jobList_showFootprint: flag,
  jobList_jobsPerPage: whole(1, 500),
  jobList_hideShortRunningJobs: whole(0, 1_000_000),
  nodeList_usePaging: flag,
  nodeList_nodesPerPage: whole(1, 500),
  nodeList_selectedMetrics: names,
  nodeOverview_selectedMetric: text,
  jobView_showPolarPlot: flag,
  jobView_showFootprint: flag,
  jobView_showRoofline: flag,
  jobView_showStatTable: flag,
  metricConfig_jobListMetrics: names,
  metricConfig_jobViewPlotMetrics: names,
  metricConfig_jobViewTableMetrics: names,
  plotConfiguration_colorBackground: flag,
  plotConfiguration_colorblindMode: flag,
  plotConfiguration_plotsPerRow: whole(1, 6),
  plotConfiguration_lineWidth: whole(1, 20),
  plotConfiguration_colorScheme: names,
  userView_histogramMetrics: names,
  analysisView_histogramMetrics: names,
  analysisView_scatterPlotMetrics: listOf(names),
  analysisView_selectedTopEntity: text,
  analysisView_selectedTopCategory: text,
  statusView_selectedHistograms: names,
  statusView_ignoredAlerts: anything,
  ui_theme: oneOf("auto", "light", "dark"),
  ui_timezone: text,
  ui_dateFormat: oneOf("iso", "dmy", "mdy"),
  ui_motion: oneOf("auto", "reduced"),
  ui_density: oneOf("plots", "compact", "groups"),
  ui_hotkeys: flag,
  ui_landing: text,
  ui_defaultFilters: text,
};

const OLD_KEYS: Record<string, string> = {
  plot_list_selectedMetrics: "metricConfig_jobListMetrics",
  job_view_selectedMetrics: "metricConfig_jobViewPlotMetrics",
  job_view_nodestats_selectedMetrics: "metricConfig_jobViewTableMetrics",
  plot_list_jobsPerPage: "jobList_jobsPerPage",
  plot_general_colorBackground: "plotConfiguration_colorBackground",
  plot_general_colorscheme: "plotConfiguration_colorScheme",
  plot_general_lineWidth: "plotConfiguration_lineWidth",
  plot_view_plotsPerRow: "plotConfiguration_plotsPerRow",
  plot_view_showPolarplot: "jobView_showPolarPlot",
  plot_view_showRoofline: "jobView_showRoofline",
  plot_view_showStatTable: "jobView_showStatTable",
  system_view_selectedMetric: "nodeOverview_selectedMetric",
};

export interface Setting {
  key: string;
  value: unknown;
}

const nameOf = (key: string): string => key.split(":")[0] ?? "";

/** The key of today for a key of a file; what follows a colon is a cluster and a subcluster. */
export function todaysKey(key: string): string {
  const [name = "", ...place] = key.split(":");
  return [OLD_KEYS[name] ?? name, ...place].join(":");
}

/** Why a setting cannot be taken over; empty when it can. */
export function refusal({ key, value }: Setting): string {
  const check = CHECKS[nameOf(key)];
  if (!check) return "is no setting";
  return check(value) ? "" : "has a value that makes no sense";
}

/** Whether a key is a person's choice, to be saved to a file and reset. */
export const isPersonal = (key: string): boolean => nameOf(key) in CHECKS;

/** The settings of a file, under the keys of today; undefined when it holds none. */
export function readSettings(content: string): Setting[] | undefined {
  try {
    const given = JSON.parse(content) as unknown;
    if (!given || typeof given !== "object" || Array.isArray(given)) return undefined;
    return Object.entries(given).map(([key, value]) => ({ key: todaysKey(key), value: value as unknown }));
  } catch {
    return undefined;
  }
}
