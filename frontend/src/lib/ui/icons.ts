/** The icons in use, drawn by the Bootstrap Icons project; nothing else of it is shipped. */
import arrowCounterclockwise from "bootstrap-icons/icons/arrow-counterclockwise.svg?raw";
import arrowRepeat from "bootstrap-icons/icons/arrow-repeat.svg?raw";
import boxArrowRight from "bootstrap-icons/icons/box-arrow-right.svg?raw";
import broadcast from "bootstrap-icons/icons/broadcast.svg?raw";
import cardList from "bootstrap-icons/icons/card-list.svg?raw";
import checkCircle from "bootstrap-icons/icons/check-circle.svg?raw";
import chevronBarLeft from "bootstrap-icons/icons/chevron-bar-left.svg?raw";
import chevronDown from "bootstrap-icons/icons/chevron-down.svg?raw";
import chevronLeft from "bootstrap-icons/icons/chevron-left.svg?raw";
import chevronRight from "bootstrap-icons/icons/chevron-right.svg?raw";
import circleHalf from "bootstrap-icons/icons/circle-half.svg?raw";
import clipboard from "bootstrap-icons/icons/clipboard.svg?raw";
import clipboardData from "bootstrap-icons/icons/clipboard-data.svg?raw";
import clock from "bootstrap-icons/icons/clock.svg?raw";
import cpu from "bootstrap-icons/icons/cpu.svg?raw";
import exclamationTriangle from "bootstrap-icons/icons/exclamation-triangle.svg?raw";
import gpuCard from "bootstrap-icons/icons/gpu-card.svg?raw";
import grid3x3Gap from "bootstrap-icons/icons/grid-3x3-gap.svg?raw";
import gripVertical from "bootstrap-icons/icons/grip-vertical.svg?raw";
import hddRack from "bootstrap-icons/icons/hdd-rack.svg?raw";
import house from "bootstrap-icons/icons/house.svg?raw";
import infoCircle from "bootstrap-icons/icons/info-circle.svg?raw";
import list from "bootstrap-icons/icons/list.svg?raw";
import moonStars from "bootstrap-icons/icons/moon-stars.svg?raw";
import people from "bootstrap-icons/icons/people.svg?raw";
import playCircle from "bootstrap-icons/icons/play-circle.svg?raw";
import plusLg from "bootstrap-icons/icons/plus-lg.svg?raw";
import search from "bootstrap-icons/icons/search.svg?raw";
import sliders from "bootstrap-icons/icons/sliders.svg?raw";
import slashCircle from "bootstrap-icons/icons/slash-circle.svg?raw";
import sortDown from "bootstrap-icons/icons/sort-down.svg?raw";
import sortUp from "bootstrap-icons/icons/sort-up.svg?raw";
import sun from "bootstrap-icons/icons/sun.svg?raw";
import table from "bootstrap-icons/icons/table.svg?raw";
import wifiOff from "bootstrap-icons/icons/wifi-off.svg?raw";
import barChartLine from "bootstrap-icons/icons/bar-chart-line.svg?raw";
import tags from "bootstrap-icons/icons/tags.svg?raw";
import journals from "bootstrap-icons/icons/journals.svg?raw";
import graphUp from "bootstrap-icons/icons/graph-up.svg?raw";
import journalText from "bootstrap-icons/icons/journal-text.svg?raw";
import gear from "bootstrap-icons/icons/gear.svg?raw";
import book from "bootstrap-icons/icons/book.svg?raw";
import download from "bootstrap-icons/icons/download.svg?raw";
import threeDots from "bootstrap-icons/icons/three-dots.svg?raw";
import person from "bootstrap-icons/icons/person.svg?raw";
import pencil from "bootstrap-icons/icons/pencil.svg?raw";
import trash from "bootstrap-icons/icons/trash.svg?raw";
import arrowLeft from "bootstrap-icons/icons/arrow-left.svg?raw";
import arrowRight from "bootstrap-icons/icons/arrow-right.svg?raw";
import display from "bootstrap-icons/icons/display.svg?raw";
import eye from "bootstrap-icons/icons/eye.svg?raw";
import lock from "bootstrap-icons/icons/lock.svg?raw";
import globe from "bootstrap-icons/icons/globe.svg?raw";
import files from "bootstrap-icons/icons/files.svg?raw";
import checkLg from "bootstrap-icons/icons/check-lg.svg?raw";
import questionCircle from "bootstrap-icons/icons/question-circle.svg?raw";
import arrowUp from "bootstrap-icons/icons/arrow-up.svg?raw";
import arrowDown from "bootstrap-icons/icons/arrow-down.svg?raw";
import pause from "bootstrap-icons/icons/pause.svg?raw";
import xLg from "bootstrap-icons/icons/x-lg.svg?raw";
import xOctagon from "bootstrap-icons/icons/x-octagon.svg?raw";

export const icons = {
  "bar-chart-line": barChartLine,
  tags,
  journals,
  "graph-up": graphUp,
  "journal-text": journalText,
  gear,
  book,
  download,
  "three-dots": threeDots,
  person,
  pencil,
  trash,
  "arrow-left": arrowLeft,
  "arrow-right": arrowRight,
  display,
  eye,
  lock,
  globe,
  files,
  "check-lg": checkLg,
  "question-circle": questionCircle,
  "arrow-up": arrowUp,
  "arrow-down": arrowDown,
  pause,
  "arrow-counterclockwise": arrowCounterclockwise,
  "arrow-repeat": arrowRepeat,
  "box-arrow-right": boxArrowRight,
  broadcast,
  "card-list": cardList,
  "check-circle": checkCircle,
  "chevron-bar-left": chevronBarLeft,
  "chevron-down": chevronDown,
  "chevron-left": chevronLeft,
  "chevron-right": chevronRight,
  "circle-half": circleHalf,
  clipboard,
  "clipboard-data": clipboardData,
  clock,
  cpu,
  "exclamation-triangle": exclamationTriangle,
  "gpu-card": gpuCard,
  "grid-3x3-gap": grid3x3Gap,
  "grip-vertical": gripVertical,
  "hdd-rack": hddRack,
  house,
  "info-circle": infoCircle,
  list,
  "moon-stars": moonStars,
  people,
  "play-circle": playCircle,
  "plus-lg": plusLg,
  search,
  sliders,
  "slash-circle": slashCircle,
  "sort-down": sortDown,
  "sort-up": sortUp,
  sun,
  table,
  "wifi-off": wifiOff,
  "x-lg": xLg,
  "x-octagon": xOctagon,
} as const;

export type IconName = keyof typeof icons;
