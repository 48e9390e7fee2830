import { query } from "./client";
import { graphql, type ResultOf } from "./graphql";

const SiteQuery = graphql(`
  query Site {
    clusters {
      name
      partitions
      subClusters {
        name
        nodes
        numberOfNodes
        processorType
        socketsPerNode
        coresPerSocket
        threadsPerCore
        footprint
        flopRateScalar {
          value
          unit {
            base
            prefix
          }
        }
        flopRateSimd {
          value
          unit {
            base
            prefix
          }
        }
        memoryBandwidth {
          value
          unit {
            base
            prefix
          }
        }
        topology {
          node
          socket
          memoryDomain
          core
          accelerators {
            id
          }
        }
        metricConfig {
          name
          unit {
            base
            prefix
          }
          scope
          aggregation
          timestep
          peak
          normal
          caution
          alert
          lowerIsBetter
        }
      }
    }
    globalMetrics {
      name
      scope
      footprint
      unit {
        base
        prefix
      }
      availability {
        cluster
        subClusters
      }
    }
  }
`);

type Answer = ResultOf<typeof SiteQuery>;
export type SubCluster = Answer["clusters"][number]["subClusters"][number];
export type MetricConfig = SubCluster["metricConfig"][number];
export type GlobalMetric = Answer["globalMetrics"][number];
export type Unit = MetricConfig["unit"];

/** Clusters and metrics as configured; they change only with a restart of the server. */
export class Site {
  readonly clusters: Answer["clusters"];
  readonly globalMetrics: GlobalMetric[];

  constructor(answer: Answer) {
    this.clusters = answer.clusters;
    this.globalMetrics = answer.globalMetrics;
  }

  subCluster(cluster: string, subCluster: string): SubCluster | undefined {
    return this.clusters
      .find((item) => item.name === cluster)
      ?.subClusters.find((item) => item.name === subCluster);
  }

  metric(cluster: string, subCluster: string, name: string): MetricConfig | undefined {
    return this.subCluster(cluster, subCluster)?.metricConfig.find((item) => item.name === name);
  }

  globalMetric(name: string): GlobalMetric | undefined {
    return this.globalMetrics.find((item) => item.name === name);
  }

  /** The metrics a person may see on a subcluster, in the order of the configuration. */
  metricsOf(cluster: string, subCluster: string): MetricConfig[] {
    const visible = new Set(
      this.globalMetrics
        .filter((item) =>
          item.availability.some(
            (where) => where.cluster === cluster && where.subClusters.includes(subCluster),
          ),
        )
        .map((item) => item.name),
    );
    return (this.subCluster(cluster, subCluster)?.metricConfig ?? []).filter((item) => visible.has(item.name));
  }
}

let site: Promise<Site> | undefined;

/** Asked once per page load; a failure is forgotten so that the next caller tries again. */
export function loadSite(): Promise<Site> {
  site ??= query(SiteQuery, {}).then((answer) => new Site(answer));
  site.catch(() => (site = undefined));
  return site;
}
